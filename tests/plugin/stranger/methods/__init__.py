"""The stranger's methods, a file each."""
