"""Values of the field and of time: checked, normalised, without a framework. They import nothing of ours."""
