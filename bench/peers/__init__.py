"""Other libraries that do what the backbone does, each a process like those of bench/contestants.py.

They run on an interpreter of their own (`make bench` installs it from bench/requirements.lock): nothing of ours may
depend on what they need.
"""
