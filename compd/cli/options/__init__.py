"""What commands take from the command line, and how it becomes library arguments."""
