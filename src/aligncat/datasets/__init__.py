"""Where expressions come from: REFER's layout (RefCOCO and kin, MojiRef) and JSON lines of your own."""
