"""Resources, their versions and the search index (rest.md §1-§4).

Every function that answers with resources takes the visibility predicate as an
argument without a default and puts it in SQL before LIMIT (security.md G1-G3).
"""
