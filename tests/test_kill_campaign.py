"""A small campaign: signals to one program that writes a folder and one that writes a file."""

import collections

from tests import kill_campaign


def test_killed_programs_leave_whole_files_and_rerun_to_the_same(tmp_path):
    names = ["render_ood", "split_negatives"]
    codes = dict(kill_campaign.run(tmp_path, names, signals=6, seed=3))
    assert list(codes) == names
    total = sum(codes.values(), collections.Counter())
    assert total.total() == 6 and total[None] < 6  # not all came after the end
