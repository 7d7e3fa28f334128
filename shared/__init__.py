"""What every service needs and none owns: no business words here except in contracts/.

Its packages are layers, which .importlinter names; services and deploy import them, they import neither.
"""
