"""Command lines as kubectl reads them: GNU-like flags, before or after other words.

`--name value`, `--name=value`, `-n value`, `-nvalue`, `-n=value`, `-it`; a switch takes a value only after `=`;
`--` ends the flags. Messages are those of kubectl's own parser. argparse would cost a quarter of kctl's time.
"""

from __future__ import annotations

from kctl.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kctl.session import Session

TRUE, FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


class Flag:
    """One flag. `bare` is its value when it is given without one; None if it needs one."""

    def __init__(
        self, name: str, text: str, short: str, default: Any, bare: str | None, read: Callable[[Flag, str], Any]
    ) -> None:
        self.name, self.text, self.short, self.default, self.bare, self.read = name, text, short, default, bare, read
        self.repeats = isinstance(default, list)

    @property
    def shown(self) -> str:
        """How messages name it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Values:
    """What a command line says: an attribute a flag (dashes as underscores), the other words, those after `--`."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.after_dash: list[str] | None = None
        self.given: set[str] = set()
        self.verb = ""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...


class Flags:
    """The flags of one command."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.usage = ""
        self._flags: dict[str, Flag] = {}
        self._short: dict[str, Flag] = {}
        self._required: list[str] = []
        self._global: set[str] = set()
        self.stops_at_words = False
        self._most_words: int | None = None
        self._too_many = ""

    def _add(self, flag: Flag) -> None:
        self._flags[flag.name] = flag
        if flag.short:
            self._short[flag.short] = flag

    def text(self, name: str, text: str, *, short: str = "", default: str = "", bare: str | None = None) -> None:
        """A flag with a text."""
        self._add(Flag(name, text, short, default, bare, lambda _, word: word))

    def texts(self, name: str, text: str, *, short: str = "", split: bool = False) -> None:
        """A flag that may be given again; with `split`, each value is a list with commas too."""
        self._add(Flag(name, text, short, [], None, lambda _, word: word.split(",") if split else [word]))

    def switch(self, name: str, text: str, *, short: str = "", default: bool = False) -> None:
        """A flag that is there or not."""
        self._add(Flag(name, text, short, default, "true", _boolean))

    def number(self, name: str, text: str, *, short: str = "", default: int | None = 0, bits: int = 64) -> None:
        """A flag with a whole number."""
        self._add(Flag(name, text, short, default, None, lambda flag, word: _number(flag, word, bits)))

    def duration(self, name: str, text: str, *, default: str = "") -> None:
        """A flag with a Go duration; its value stays a text, for seconds()."""
        self._add(Flag(name, text, "", default, None, _duration))

    def at_most(
        self, words: int, message: str = "Unexpected args: [{words}]\nSee '{command} -h' for help and examples"
    ) -> None:
        """The command takes so many words; `message` is what is said of more."""
        self._most_words, self._too_many = words, message

    def require(self, *names: str) -> None:
        """Flags that must be given."""
        self._required += names

    def global_ones(self) -> None:
        """The flags that every command takes."""
        before = set(self._flags)
        for name, short, text in GLOBAL_TEXTS:
            if name not in self._flags:
                self.text(name, text, short=short if short not in self._short else "")
        self.texts("as-group", "group to act as")
        self.switch("insecure-skip-tls-verify", "do not check the server's certificate")
        self._global = set(self._flags) - before

    def all(self) -> list[Flag]:
        """Every flag that has a help text, for completion."""
        return [flag for flag in self._flags.values() if flag.text]

    def named(self, word: str) -> Flag | None:
        """The flag that `--name` or `-n` is, if there is one."""
        return self._flags.get(word[2:]) if word.startswith("--") else self._short.get(word[1:])

    def parse(self, words: Sequence[str]) -> Values:
        """Read the words. Raises UsageError."""
        values = Values()
        for flag in self._flags.values():
            setattr(values, flag.name.replace("-", "_"), list(flag.default) if flag.repeats else flag.default)
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                values.after_dash = rest
                break
            if word.startswith("--"):
                self._long(word, rest, values)
            elif word.startswith("-") and word != "-":
                self._shorts(word, rest, values)
            else:
                values.words.append(word)
                if self.stops_at_words:
                    values.words += rest
                    break
        if self._most_words is not None and len(values.words) > self._most_words:
            raise UsageError(self._too_many.format(words=" ".join(values.words), command=f"kctl {self.command}"))
        missing = [name for name in self._required if name not in values.given]
        if missing:
            listed = ", ".join(f'"{name}"' for name in missing)
            raise UsageError(f"required flag(s) {listed} not set")
        return values

    def _long(self, word: str, rest: list[str], values: Values) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name.startswith("-"):
            self._fail(f"bad flag syntax: {word}")
        flag = self._flags.get(name)
        if flag is None:
            self._fail(f"unknown flag: --{name}")
        if not equals:
            if flag.bare is not None:
                value = flag.bare
            elif rest:
                value = rest.pop(0)
            else:
                self._fail(f"flag needs an argument: --{name}")
        self._set(flag, value, values)

    def _shorts(self, word: str, rest: list[str], values: Values) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                self._fail(f"unknown shorthand flag: {letter!r} in {word}")
            if letters.startswith("="):
                value, letters = letters[1:], ""
            elif flag.bare is not None:
                value = flag.bare
            elif letters:
                value, letters = letters, ""
            elif rest:
                value = rest.pop(0)
            else:
                self._fail(f"flag needs an argument: {letter!r} in {word}")
            self._set(flag, value, values)

    def _set(self, flag: Flag, word: str, values: Values) -> None:
        try:
            value = flag.read(flag, word)
        except ValueError as error:
            self._fail(f'invalid argument "{word}" for "{flag.shown}" flag: {error}')
        key = flag.name.replace("-", "_")
        if flag.repeats:
            getattr(values, key).extend(value)
        else:
            setattr(values, key, value)
        values.given.add(flag.name)

    def _fail(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\nSee 'kctl {self.command} --help' for usage.")

    def help(self, about: str) -> str:
        """What --help prints."""
        lines = [
            about.strip(),
            "",
            f"Usage:\n  kctl {self.command} {self.usage or '[flags] [arguments]'}",
            "",
            "Flags:",
        ]
        own = [flag for flag in self._flags.values() if flag.name not in self._global and flag.text]
        lines += [_line(flag) for flag in own] or ["  none of its own"]
        lines += ["", "Global flags:", *(_line(self._flags[name]) for name in sorted(self._global))]
        return "\n".join(lines)


def _line(flag: Flag) -> str:
    names = f"-{flag.short}, --{flag.name}" if flag.short else f"    --{flag.name}"
    default = "" if flag.default in ("", False, None, 0) or flag.repeats else f" (default {flag.default})"
    return f"  {names:<30} {flag.text}{default}"


def _boolean(flag: Flag, word: str) -> bool:
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{word}": invalid syntax')


def _duration(flag: Flag, word: str) -> str:
    try:
        seconds(word)
    except UsageError:
        raise ValueError(f'time: invalid duration "{word}"') from None
    return word


def _number(flag: Flag, word: str, bits: int) -> int:
    sign = word[:1] if word[:1] in ("-", "+") else ""
    digits = word[len(sign) :]
    if not digits.isascii() or not digits.isdigit():
        raise ValueError(f'strconv.ParseInt: parsing "{word}": invalid syntax')
    if len(digits.lstrip("0")) > 19 or int(digits) >= 1 << (bits - 1):
        raise ValueError(f'strconv.ParseInt: parsing "{word}": value out of range')
    return int(word)


GLOBAL_TEXTS = (
    ("kubeconfig", "", "path to the kubeconfig file"),
    ("context", "", "the kubeconfig context to use"),
    ("cluster", "", "the kubeconfig cluster to use"),
    ("user", "", "the kubeconfig user to use"),
    ("namespace", "n", "the namespace of this call"),
    ("server", "s", "the API server's address"),
    ("token", "", "bearer token"),
    ("as", "", "user to act as"),
    ("certificate-authority", "", "path to the CA's certificate"),
    ("tls-server-name", "", "the name that the server's certificate must have"),
    ("request-timeout", "", "how long to wait for one request, such as 5s; 0 for ever"),
    ("v", "v", "how much to tell (accepted, and nothing more is told)"),
)
GLOBAL_SWITCHES = ("--insecure-skip-tls-verify", "--help", "-h")


def leading_word(words: Sequence[str]) -> int:
    """Where the first word stands that is neither a flag nor a flag's value; -1 if there is none.

    A flag that is not known yet is taken to have a value, as kubectl does.
    """
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return -1
        if not word.startswith("-") or word == "-":
            return at
        at += 1 if "=" in word or word in GLOBAL_SWITCHES or (word[1] != "-" and len(word) > 2) else 2
    return -1


def session(values: Values) -> Session:
    """Open the session that the flags describe. Raises KubeconfigError."""
    from kctl.session import Session
    from kctl.target import resolve

    overrides = {name.replace("-", "_"): getattr(values, name.replace("-", "_"), "") for name, _, _ in GLOBAL_TEXTS}
    overrides["impersonate"] = getattr(values, "as", "")
    overrides["impersonate_groups"] = values.as_group
    overrides["insecure_skip_tls_verify"] = "true" if values.insecure_skip_tls_verify else ""
    limit = seconds(values.request_timeout) if values.request_timeout else 0.0
    return Session(resolve(overrides), limit or None)


UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A Go duration such as `1m30s`, in seconds; a bare number counts seconds. Raises UsageError."""
    import re

    number = r"\d{1,15}(?:\.\d{0,15})?|\.\d{1,15}"
    if re.fullmatch(rf"[-+]?(?:{number})", text):
        return float(text)
    unsigned = text[1:] if text[:1] in ("-", "+") else text
    parts = re.findall(rf"({number})(ns|us|µs|ms|s|m|h)", unsigned)
    if not parts or "".join(figure + unit for figure, unit in parts) != unsigned:
        raise UsageError(f'invalid duration "{text}": use a number and a unit, such as 30s or 5m')
    total = sum(float(figure) * UNITS[unit] for figure, unit in parts)
    return -total if text.startswith("-") else total


if TYPE_CHECKING:
    from typing import NoReturn
