"""Cases and grants: who may see which case, on what basis, until when."""
