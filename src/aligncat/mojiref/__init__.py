"""MojiRef: a benchmark of OpenMoji scenes and phrases that can be made anywhere in a minute."""
