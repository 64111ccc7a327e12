"""MojiRef, a synthetic benchmark of OpenMoji scenes and phrases, and its mini detector."""
