"""Preparation of the RefCOCO family: from an archive, a folder or a mirror into REFER's layout, then a check."""
