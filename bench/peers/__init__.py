"""Other libraries that do what the backbone does, each a process like those of bench/contestants.py.

They run on an interpreter of their own (`make bench` installs it from bench/requirements.lock), on which nothing of
ours may depend; nothing imports them.
"""
