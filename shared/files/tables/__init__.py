"""Tables that people upload, CSV or XLSX: `table.rows` reads both.

Services import `table`, and `cells` and `errors` for what its rows hold; the rest is imported by `table` only.
"""
