"""What is to be grounded: photos, folders, globs or a table on the one side, phrases on the other."""
