"""What a probe is told: unready names its reasons, an alarm is none."""

from lockgate.server.readiness import Check, problems_of, told

CHECKS = [
    Check("policy sha256:0"),
    Check("accepting", "draining"),
    Check("Secrets of cloud", "there is no file", is_alarm=True),
]


def test_only_what_is_no_alarm_makes_it_unready() -> None:
    assert problems_of(CHECKS) == ["draining"]
    assert told(CHECKS, verbose=False) == (503, "draining\n")
    assert told([CHECKS[0], CHECKS[2]], verbose=False) == (200, "ready\n")


def test_verbose_lists_every_check() -> None:
    assert told(CHECKS, verbose=True) == (
        503,
        (
            "[+] policy sha256:0\n[-] accepting: draining\n"
            "[!] Secrets of cloud: there is no file\nnot ready\n"
        ),
    )
