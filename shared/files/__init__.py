"""Files: the store of pictures, and tables that people upload."""
