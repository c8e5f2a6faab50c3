"""A referral's life: facts, route, submit, moves, transfer, withdrawal."""
