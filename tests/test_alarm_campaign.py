"""A small campaign: what is killed loses no alarm, and sends none under two names."""

from tests import alarm_campaign


def test_no_alarm_is_lost_over_kills(tmp_path):
    found = alarm_campaign.run(tmp_path, kills=4, seed=1)
    assert found["kills"] == 4 and found["alarms"] >= 8 and found["messages"] >= found["alarms"]
