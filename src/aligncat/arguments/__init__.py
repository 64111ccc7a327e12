"""From the words of a command line to the arguments of a verb's function: options, help, mistakes and completion.

Nothing here imports torch, transformers or pyarrow, so that help and mistakes are answered at once.
"""
