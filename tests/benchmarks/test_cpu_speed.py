"""What results/cpu_speed.json keeps when another CPU is measured."""

import copy

import cpu_speed
import render_performance

OLDER = {
    "device": "CPU B, 2 cores",
    "rows": [1],
    "evaluation": [2],
    "first command": [{"cpu": "B", "torch": "2", "adapter": 8.0, "all": 9.4}],
}
COMMAND = {"cpu": "A", "torch": "2", "adapter": 4.0, "all": 5.0}


def keep(parts: dict, found: dict = OLDER) -> dict:
    return cpu_speed.keep(copy.deepcopy(found), parts)


def test_first_commands_of_all_cpus_are_kept():
    """A second CPU is a line of its own; the same one measured again replaces its line."""
    both = keep({"first command": dict(COMMAND)})
    assert both == OLDER | {"first command": [*OLDER["first command"], COMMAND]}
    again = keep({"first command": COMMAND | {"all": 4.0}}, both)
    assert [line["all"] for line in again["first command"]] == [9.4, 4.0]
    page = "\n".join(render_performance.render_first_command(both))
    assert "| stage, s | B | A |" in page and "| adapter | 8 | 4 |" in page and "| all | 9 | 5 |" in page


def test_steps_of_two_cpus_are_not_mixed(monkeypatch):
    """Another CPU's training in the same table as the first one's evaluation would read as a change of the code."""
    monkeypatch.setattr(cpu_speed.hardware, "device_name", lambda: "CPU A, 2 cores")
    other = keep({"rows": [3]})
    assert other["rows"] == [3] and "evaluation" not in other and other["device"] == "CPU A, 2 cores"
    assert other["first command"] == OLDER["first command"]
    monkeypatch.setattr(cpu_speed.hardware, "device_name", lambda: OLDER["device"])
    assert keep({"rows": [3]})["evaluation"] == OLDER["evaluation"]
