"""Values of the field and of time: checked, normalised, without a framework.

Anyone may import them; they import nothing of ours.
"""
