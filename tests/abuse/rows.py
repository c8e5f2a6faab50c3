"""Rows AB1 to AB35 of security.md §8: which tests fail when the defence is taken away.

A file alone stands for all its tests. `tests/abuse/test_rows.py` sees that each of them
is there; what was planted by hand to see them fail stands beside.
"""

_FETCH = "tests/delivery/test_fetch.py"
_TOKEN = "tests/smart/test_token.py"
_XML = "tests/fhir/test_xml.py"
_TWINS = "tests/oracles/test_twin_worlds.py"
_WITHDRAWAL = "tests/referrals/test_withdrawal.py"
_NOT_THERE = "tests/abuse/test_AB15_AB22_AB30_what_is_not_there.py"

ROWS: dict[int, tuple[str, ...]] = {
    1: ("tests/restful/test_access.py::test_G4_AB1", _TWINS),
    2: (_TWINS, "tests/abuse/test_AB03_search_is_no_oracle.py::test_AB2"),
    3: (_TWINS, "tests/abuse/test_AB03_search_is_no_oracle.py::test_AB3"),
    4: (_TWINS, "tests/store/test_search.py::test_AB4"),
    5: (_TWINS, "tests/restful/test_conditional.py::test_AB5"),
    6: ("tests/abuse/test_AB06_nobody_is_merged.py",),
    7: (
        "tests/abuse/test_AB07_AB08_nothing_leaves_in_bulk.py::test_AB7",
        "tests/restful/test_members.py::test_G6",
    ),
    8: ("tests/abuse/test_AB07_AB08_nothing_leaves_in_bulk.py::test_AB7_AB8",),
    9: ("tests/abuse/test_AB09_numbers_tell_nothing.py", _TWINS),
    10: (
        f"{_WITHDRAWAL}::test_C1",
        f"{_WITHDRAWAL}::test_C2",
        f"{_WITHDRAWAL}::test_C3",
        f"{_WITHDRAWAL}::test_C4",
    ),
    11: (f"{_WITHDRAWAL}::test_C5", "tests/restful/test_access.py::test_AB11"),
    12: (f"{_FETCH}::test_no_spelling", "tests/smart/test_keys.py::test_T12"),
    13: (
        f"{_XML}::test_X1",
        f"{_XML}::test_X3",
        f"{_XML}::test_X7",
        "tests/restful/test_formats.py::test_X7",
    ),
    14: (
        "tests/restful/test_coding.py::test_AB14",
        "tests/restful/test_wire.py::test_J6",
    ),
    15: (f"{_NOT_THERE}::test_AB15",),
    16: tuple(f"{_TOKEN}::test_T{n}" for n in (10, 11, 12, 13, 14)),
    17: (f"{_TOKEN}::test_T9",),
    18: (f"{_TOKEN}::test_T15", f"{_TOKEN}::test_T16"),
    19: ("tests/abuse/test_AB19_timing.py", f"{_TOKEN}::test_T7"),
    20: ("tests/oracles/test_canaries.py", "tests/cli/test_logs.py::test_AB20"),
    21: ("tests/abuse/test_AB21_injection.py",),
    22: (f"{_NOT_THERE}::test_AB22",),
    23: ("tests/restful/test_binary.py::test_AB23", f"{_XML}::test_X7"),
    24: (f"{_NOT_THERE}::test_AB24",),
    25: ("tests/restful/test_binary.py::test_AB25",),
    26: (
        "tests/abuse/test_AB26_limits.py",
        "tests/restful/test_limits.py::test_AB26",
    ),
    27: (
        "tests/abuse/test_AB27_the_log_is_out_of_reach.py",
        "tests/audit/test_verify.py::test_A4",
        "tests/audit/test_verify.py::test_A5",
    ),
    28: ("tests/audit/test_verify.py::test_A8", "tests/cli/test_restore.py::test_K7"),
    29: (
        f"{_FETCH}::test_a_redirect",
        f"{_FETCH}::test_an_endless_answer",
        f"{_FETCH}::test_an_answer_that_drips",
        f"{_FETCH}::test_a_certificate",
    ),
    30: (f"{_NOT_THERE}::test_AB30",),
    31: ("tests/abuse/test_AB31_AB32_words_and_counts.py::test_AB31",),
    32: ("tests/abuse/test_AB31_AB32_words_and_counts.py::test_AB32",),
    33: (
        "tests/abuse/test_AB33_what_is_installed.py",
        "tests/smart/test_keys.py::test_T18",
    ),
    34: ("tests/abuse/test_AB34_two_databases_one_answer.py",),
    35: ("tests/abuse/test_AB35_routes.py", f"{_TWINS}::test_AB35"),
}
