"""The oldest browsers that pages are for, and whether scripts, styles and templates keep to what these know.

`make check` and the tests import it. What a browser knows is MDN's compatibility data; missing.json is the part of it
that says what they do not know, written by `python -m tools.floor --update DATA`, where DATA is the data.json of the
npm package @mdn/browser-compat-data (CC0).
"""
