"""The three pictures of an application: checked, stored, served, backed up."""
