"""The platform's services. They never import each other; events and HTTP are the only ways between them.

Imported by deploy, bench and tests.
"""
