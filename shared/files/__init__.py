"""Files: the store of pictures, and tables that people upload.

Services and deploy import it; it imports nothing of ours.
"""
