"""Events of a file or of many cameras while they happen.

A JSON line when one starts or ends.
"""

from absl import flags

from jaxvlm.command import (
    alarm_flags,
    cli,
    display,
    encoder_flags,
    ordinary_flags,
    role_flags,
    watch_flags,
)
from jaxvlm.names import number_of

_ORDINARY = ordinary_flags.define_ordinary(live=True)
_CAMERAS = watch_flags.define_cameras(_ORDINARY)
_ROLES = role_flags.define_roles(captions=False, fps=True)
_ENCODER = encoder_flags.define_encoder(live=True)
_RULES = watch_flags.define_rules()
_OUTLETS = alarm_flags.define_outlets()
_OUT = flags.DEFINE_string("out", None, "Lines are appended to this file, not printed.")
_STATE = flags.DEFINE_string(
    "state_dir", None, "What has been seen is kept here, and a later start goes on from it."
)


def main() -> None:
    from jaxvlm.video import watch_program

    _CAMERAS.check()  # a file that is missing is told before the model loads
    role_flags.refuse_live()
    rules = _RULES()
    _ROLES()
    with _OUTLETS(_STATE.value) as outlets, display.progress() as on_progress:
        encoder = _ENCODER(1, on_progress)  # the batch size is not measured
        ended = watch_program.write_changes(
            lambda: _CAMERAS.read(encoder, _ROLES, rules),
            outlets=outlets,
            out=_OUT.value,
            state_dir=_STATE.value,
            on_progress=on_progress,
        )
    if _OUT.value is not None:
        frames = sum(one.summary.frames for one in ended)
        cli.show(f"{number_of(frames, 'frame')}: {_OUT.value}")
        for line in _ORDINARY.learned():
            cli.show(line)
    cli.report_failures([one.failure for one in ended if one.failure is not None])


if __name__ == "__main__":
    cli.run(main)
