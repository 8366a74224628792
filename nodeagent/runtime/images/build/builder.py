"""Building an image from a Dockerfile: stages in order, a step an instruction, a layer a step that changes files.

Always: the same Dockerfile, context, base and arguments give the same image, byte for byte; a step whose inputs were
seen before is not done again; nothing outside the context is read.
Elsewhere: the file's syntax (dockerfile.py), variables (expand.py), what COPY takes (copying.py), archives
(layer.py), config instructions (stage.py), which stages are needed (stages.py), files besides the context (inputs.py),
commands (run.py).
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodeagent.runtime.images import reference
from nodeagent.runtime.images.archives import put_manifest
from nodeagent.runtime.images.build import copying, run, stage
from nodeagent.runtime.images.build.dockerfile import Dockerfile, Instruction, parse
from nodeagent.runtime.images.build.expand import ExpansionError, expand, words
from nodeagent.runtime.images.build.inputs import ignore_file, read_text, source_date_epoch
from nodeagent.runtime.images.build.layer import Item, key_of, step_key, upper_items, write
from nodeagent.runtime.images.build.patterns import PatternError
from nodeagent.runtime.images.build.stages import Stage, find_stage, needed_stages
from nodeagent.runtime.images.cache import CachedLayer, recall_layer, remember_layer
from nodeagent.runtime.images.errors import BuildError, FormatError, ImageError
from nodeagent.runtime.images.intake import Intake, importing
from nodeagent.runtime.images.merged import MergedView, split
from nodeagent.runtime.images.oci import Descriptor, canonical, host_platform, parse_manifest
from nodeagent.runtime.images.store import ImageStore, Progress
from nodeagent.runtime.images.tarstream import Kind
from nodeagent.runtime.images.unpack import unpack_layer

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build(
    store: ImageStore,
    context: Path,
    *,
    dockerfile: Path | None = None,
    names: Sequence[str] = (),
    arguments: Mapping[str, str] | None = None,
    target: str | None = None,
    use_cache: bool = True,
    progress: Progress | None = None,
) -> str:
    """Build and name an image; returns its ID. RUN steps need root. Raises BuildError (file and line), ImageError."""
    started = time.monotonic()
    say = progress or (lambda line: None)
    tags = [reference.parse(name).name for name in names]
    if not context.is_dir():
        raise BuildError(str(context), "is not a directory")
    path = dockerfile if dockerfile is not None else context / "Dockerfile"
    parsed = parse(read_text(path), str(path))
    with importing(store) as intake, intake.workspace() as space:
        builder = _Builder(
            store, intake, space, context, path, parsed, dict(arguments or {}), say, use_cache, source_date_epoch()
        )
        image_id = builder.run(tags, target)
    say(f"built {', '.join(tags) or 'an image without a name'} in {time.monotonic() - started:.2f} s")
    return image_id


class _Builder:
    def __init__(
        self,
        store: ImageStore,
        intake: Intake,
        space: Path,
        context: Path,
        path: Path,
        parsed: Dockerfile,
        arguments: dict[str, str],
        say: Progress,
        use_cache: bool,
        epoch: int,
    ) -> None:
        self.store = store
        self.intake = intake
        self.space = space
        self.path = path
        self.escape = parsed.escape
        self.given = arguments
        self.say = say
        self.use_cache = use_cache
        self.epoch = epoch
        self._files = 0
        self._step = 0
        self._steps = 0
        self._used: set[str] = set()
        self.context = copying.Source(MergedView([context.resolve()]), "the build context")
        ignore = ignore_file(path, context)
        if ignore.rules:
            self.context = copying.Source(
                self.context.view, self.context.name, ignore.ignores, ignores_whole=not ignore.has_exceptions
            )
        self.platform = host_platform()
        here = {"OS": "linux", "ARCH": self.platform.architecture, "PLATFORM": str(self.platform), "VARIANT": ""}
        self.globals = {f"{side}{key}": value for side in ("TARGET", "BUILD") for key, value in here.items()}
        self.stages = self._divide(parsed.instructions)

    # Stages

    def _divide(self, instructions: Sequence[Instruction]) -> list[Stage]:
        stages: list[Stage] = []
        for instruction in instructions:
            if instruction.name == "FROM":
                stages.append(self._from(instruction, stages))
            elif stages:
                if instruction.name == "ONBUILD":
                    raise instruction.wrong("is not supported", "write the instruction in the Dockerfiles that need it")
                stages[-1].steps.append(instruction)
            elif instruction.name == "ARG":
                self._declare(instruction, self.globals, self.globals)
            else:
                raise instruction.wrong("comes before the first FROM", "begin with FROM")
        if not stages:
            raise BuildError(str(self.path), "has no FROM")
        return stages

    def _from(self, instruction: Instruction, stages: list[Stage]) -> Stage:
        platform = instruction.flag("platform")
        if platform is not None:
            wanted = self._expanded(instruction, platform, self.globals)
            if wanted not in ("linux/" + self.platform.architecture, "linux"):
                raise instruction.wrong(f"--platform={wanted} is not this machine's ({self.platform})")
        given = self._words(instruction, instruction.rest, self.globals)
        if len(given) not in (1, 3) or (len(given) == 3 and given[1].upper() != "AS"):
            raise instruction.wrong(f"{instruction.rest!r} is not IMAGE [AS NAME]")
        if not given[0]:
            raise instruction.wrong("the image's name is empty", "give its ARG a default or --build-arg")
        name = given[2].lower() if len(given) == 3 else str(len(stages))
        if any(s.name == name for s in stages):
            raise instruction.wrong(f"there is a stage {name!r} already")
        return Stage(name, given[0], instruction)

    def run(self, tags: Sequence[str], target: str | None) -> str:
        last = len(self.stages) - 1
        if target is not None:
            found = find_stage(self.stages, target)
            if found is None:
                known = ", ".join(s.name for s in self.stages)
                raise BuildError(str(self.path), f"has no stage {target!r}", f"its stages are {known}")
            last = self.stages.index(found)
        needed = needed_stages(self.stages, last)
        self._steps = sum(1 + len(self.stages[number].steps) for number in needed)
        for number in needed:
            self._build_stage(number)
        for name in sorted(set(self.given) - self._used):
            self.say(f"warning: --build-arg {name} is used by no ARG")
        return self._finish(self.stages[last], tags)

    def _build_stage(self, number: int) -> None:
        here = self.stages[number]
        self._tell(here.instruction)
        base = find_stage(self.stages[:number], here.base)
        if base is not None:
            here.config = copy.deepcopy(base.config)
            here.layers, here.chain = list(base.layers), list(base.chain)
            here.history = list(base.history)
        elif here.base != "scratch":
            self._start_from_image(here)
        for instruction in here.steps:
            try:
                self._perform(here, instruction, number)
            except (ExpansionError, copying.CopyError, PatternError) as error:
                raise instruction.wrong(str(error)) from None
            except BuildError:
                raise
            except ImageError as error:
                raise instruction.wrong(str(error)) from None
        here.built = True

    def _start_from_image(self, here: Stage) -> None:
        image = self.store.resolve(here.base)
        if image is None:
            raise here.instruction.wrong(f"image {here.base!r} is not in the store", "load or pull it first")
        document = json.loads(self.store.document(image.id))
        here.config = document.get("config") or {}
        if here.config.get("OnBuild"):
            raise here.instruction.wrong(f"image {here.base!r} has ONBUILD triggers, which are not supported")
        here.author = str(document.get("author", ""))
        here.history = list(document.get("history") or [])
        manifest = parse_manifest(self.store.document(image.manifest), f"manifest of {here.base}")
        here.layers = list(zip(manifest.layers, document.get("rootfs", {}).get("diff_ids", []), strict=True))
        here.chain = [f"sha256:{Path(layer).name}" for layer in reversed(image.layers)]

    def _finish(self, last: Stage, tags: Sequence[str]) -> str:
        if not last.layers:
            self._layer(last, [], step_key("empty", self.epoch), last.instruction)
        document: dict[str, Any] = {
            "architecture": self.platform.architecture,
            "os": "linux",
            "created": self._created(),
            "config": last.config,
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in last.layers]},
            "history": last.history,
        }
        if last.author:
            document["author"] = last.author
        manifest = put_manifest(self.intake, canonical(document), [blob for blob, _ in last.layers])
        return self.intake.commit(manifest, tags, where=str(self.path))

    # Steps

    def _tell(self, instruction: Instruction, suffix: str = "") -> None:
        self._step += 1
        text = " ".join(str(instruction).split())
        self.say(f"step {self._step}/{self._steps} (line {instruction.line}): {text[:120]}{suffix}")

    def _perform(self, here: Stage, instruction: Instruction, number: int) -> None:
        before = len(here.layers)
        variables = {**here.arguments, **stage.environment(here.config)}
        config = here.config
        if instruction.name in ("COPY", "ADD", "RUN"):
            self._tell(instruction)
        match instruction.name:
            case "COPY" | "ADD":
                self._copy(here, instruction, variables, number)
            case "RUN":
                self._run(here, instruction)
            case "WORKDIR":
                self._tell(instruction)
                self._work_directory(here, instruction, self._expanded(instruction, instruction.rest, variables))
            case _:
                self._tell(instruction)
                self._configure(here, instruction, variables, config)
        step = {"created_by": str(instruction), "created": self._created()}
        here.history.append(step if len(here.layers) > before else {**step, "empty_layer": True})

    def _created(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.epoch))

    def _configure(
        self, here: Stage, instruction: Instruction, variables: dict[str, str], config: stage.Config
    ) -> None:
        match instruction.name:
            case "ENV":
                stage.set_environment(config, stage.pairs(instruction, variables, self.escape))
            case "LABEL":
                config["Labels"] = {
                    **(config.get("Labels") or {}),
                    **stage.pairs(instruction, variables, self.escape),
                }
            case "ARG":
                self._declare(instruction, here.arguments, variables)
            case "CMD":
                config["Cmd"] = stage.command(instruction, config)
                here.own_cmd = True
            case "ENTRYPOINT":
                config["Entrypoint"] = stage.command(instruction, config)
                if not here.own_cmd:
                    config.pop("Cmd", None)
            case "SHELL":
                if not instruction.items:
                    raise instruction.wrong("needs a list", 'write SHELL ["/bin/sh", "-c"]')
                config["Shell"] = list(instruction.items)
            case "EXPOSE":
                stage.expose(instruction, self._words(instruction, instruction.rest, variables), config)
            case "VOLUME":
                items = (
                    [self._expanded(instruction, item, variables) for item in instruction.items]
                    if instruction.items is not None
                    else self._words(instruction, instruction.rest, variables)
                )
                if not all(items):
                    raise instruction.wrong("a path is empty")
                config["Volumes"] = {**(config.get("Volumes") or {}), **{item: {} for item in items}}
            case "USER":
                user = self._words(instruction, instruction.rest, variables)
                if len(user) != 1 or not user[0]:
                    raise instruction.wrong(f"{instruction.rest!r} is not USER[:GROUP]")
                config["User"] = user[0]
            case "STOPSIGNAL":
                text = self._expanded(instruction, instruction.rest, variables)
                config["StopSignal"] = stage.stop_signal(instruction, text)
            case "HEALTHCHECK":
                stage.health_check(instruction, config)
            case "MAINTAINER":
                here.author = instruction.rest
            case _:
                raise instruction.wrong("is not supported")

    def _declare(self, instruction: Instruction, into: dict[str, str], variables: Mapping[str, str]) -> None:
        for word in self._words(instruction, instruction.rest, variables):
            name, equals, default = word.partition("=")
            if not name.isidentifier():
                raise instruction.wrong(f"{name!r} is not a variable name")
            self._used.add(name)
            if name in self.given:
                into[name] = self.given[name]
            elif equals:
                into[name] = default
            elif into is not self.globals and name in self.globals:
                into[name] = self.globals[name]

    def _work_directory(self, here: Stage, instruction: Instruction, path: str) -> None:
        if not path:
            raise instruction.wrong("the path is empty")
        here.config["WorkingDir"] = directory = self._absolute(here, path)
        view = self._view(here)
        try:
            parts, there = view.follow(split(directory))
        except OSError as error:
            raise instruction.wrong(f"{directory!r}: {error.strerror}") from None
        if there is not None and not there.is_directory:
            raise instruction.wrong(f"{directory!r} is a file in the image")
        if there is None:
            new = Item("/".join(parts), Kind.DIRECTORY, 0o755)
            items = copying.with_parents({new.path: new}, view, copying.Attributes())
            self._layer(here, items, step_key("items", key_of(items), self._top(here), self.epoch), instruction)

    def _copy(self, here: Stage, instruction: Instruction, variables: dict[str, str], number: int) -> None:
        if instruction.items is not None:
            given = [self._expanded(instruction, item, variables) for item in instruction.items]
        else:
            given = self._words(instruction, instruction.rest, variables)
        if len(given) < 2:
            raise instruction.wrong("needs a source and a destination")
        *sources, destination = given
        view = self._view(here)
        attributes = copying.Attributes(
            owner=copying.owner_of(self._expanded(instruction, flag, variables), view)
            if (flag := instruction.flag("chown"))
            else None,
            mode=copying.mode_of(self._expanded(instruction, flag, variables))
            if (flag := instruction.flag("chmod"))
            else None,
        )
        inline, patterns = self._inline(instruction, sources, variables)
        source = self._source(instruction, number)
        target = self._absolute(here, destination) + (
            "/" if destination.endswith(("/", "/.")) or destination == "." else ""
        )
        if instruction.name == "ADD":
            for pattern in patterns:
                if "://" in pattern or pattern.startswith("git@"):
                    raise instruction.wrong(
                        f"{pattern!r} is remote, which is not supported", "fetch it into the context"
                    )
        found = copying.find_sources(source, patterns)
        archives = [f for f in found if instruction.name == "ADD" and f[1].is_file and copying.is_archive(f[1].path)]
        follow = instruction.flag("link") is None
        plain = [f for f in found if f not in archives]
        items: list[Item] = []
        if plain or inline:
            items = copying.plan(plain, inline, source, target, view, attributes, follow=follow)
        for _, archive in archives:
            tree = copying.Source(MergedView([self._unpack(archive.path)]), archive.path, owned=True)
            everything = copying.find_sources(tree, ["."])
            more = copying.plan(everything, [], tree, target.rstrip("/") + "/", view, attributes, follow=follow)
            items = sorted({i.path: i for i in (*items, *more)}.values(), key=lambda item: split(item.path))
        self._layer(here, items, step_key("items", key_of(items), self._top(here), self.epoch), instruction)

    def _inline(
        self, instruction: Instruction, sources: Sequence[str], variables: dict[str, str]
    ) -> tuple[list[copying.Inline], list[str]]:
        documents = {h.name: h for h in instruction.heredocs}
        inline, patterns = [], []
        for source in sources:
            name = source.removeprefix("<<").removeprefix("-")
            if source.startswith("<<") and name in documents:
                document = documents[name]
                text = document.text if document.literal else _expand_text(document.text, variables, self.escape)
                inline.append(copying.Inline(name, text.encode()))
            else:
                patterns.append(source)
        return inline, patterns

    def _source(self, instruction: Instruction, number: int) -> copying.Source:
        name = instruction.flag("from")
        if name is None:
            return self.context
        found = find_stage(self.stages[:number], name)
        if found is not None:
            return copying.Source(self._view(found), f"stage {found.name!r}", owned=True)
        image = self.store.resolve(name)
        if image is None:
            raise instruction.wrong(f"--from={name} is no earlier stage and no image in the store")
        return copying.Source(MergedView(image.layers), f"image {name!r}", owned=True)

    def _unpack(self, archive: str) -> Path:
        tree = self._scratch("archive")
        with open(archive, "rb") as source:
            unpack_layer(source, tree, media_type="", diff_id=None, lowers=[], where=archive)
        return tree

    def _run(self, here: Stage, instruction: Instruction) -> None:
        config = here.config
        what = run.Command(
            argv=run.argv_of(instruction, config),
            environment={"PATH": DEFAULT_PATH, **here.arguments, **stage.environment(config)},
            user=str(config.get("User", "")),
            directory=str(config.get("WorkingDir") or "/"),
        )
        variables = sorted(what.environment.items())
        key = step_key("run", self._top(here), what.argv, variables, what.user, what.directory, self.epoch)
        if self._reuse(here, key):
            return
        layers = [self.store.layout.layer(chain) for chain in reversed(here.chain)]
        upper = run.run(instruction, what, layers, self._scratch("run"), self.say)
        try:
            items = upper_items(upper)
        except FormatError as error:
            raise instruction.wrong(str(error)) from None
        self._layer(here, items, key, instruction)

    # Layers

    def _layer(self, here: Stage, items: Sequence[Item], key: str, instruction: Instruction) -> None:
        if self._reuse(here, key):
            return
        path = self._scratch("layer")
        try:
            written = write(items, path, self.epoch)
        except FormatError as error:
            raise instruction.wrong(str(error)) from None
        except OSError as error:
            raise instruction.wrong(f"{error.filename}: {error.strerror}") from None
        blob = self.intake.adopt(path, written.digest, written.size, instruction.where)
        blob = Descriptor(written.media_type, blob.digest, blob.size)
        chain = self.intake.add_layer(blob, blob.digest, here.chain, instruction.where)
        remember_layer(self.store.layout, key, CachedLayer(chain, blob.digest, blob))
        here.layers.append((blob, blob.digest))
        here.chain.append(chain)

    def _reuse(self, here: Stage, key: str) -> bool:
        known = recall_layer(self.store.layout, key) if self.use_cache else None
        if known is None or not self.intake.is_whole(known.chain):
            return False
        here.layers.append((known.blob, known.diff_id))
        here.chain.append(known.chain)
        self.say("  unchanged")
        return True

    def _top(self, here: Stage) -> str:
        return here.chain[-1] if here.chain else "scratch"

    def _view(self, here: Stage) -> MergedView:
        return MergedView([self.store.layout.layer(chain) for chain in reversed(here.chain)])

    def _absolute(self, here: Stage, path: str) -> str:
        joined = path if path.startswith("/") else f"{here.config.get('WorkingDir') or '/'}/{path}"
        return "/" + "/".join(split(joined))

    def _scratch(self, kind: str) -> Path:
        self._files += 1
        return self.space / f"{kind}-{self._files}"

    def _expanded(self, instruction: Instruction, text: str, variables: Mapping[str, str]) -> str:
        try:
            return expand(text, variables, self.escape)
        except ExpansionError as error:
            raise instruction.wrong(str(error)) from None

    def _words(self, instruction: Instruction, text: str, variables: Mapping[str, str]) -> list[str]:
        try:
            return words(text, variables, self.escape)
        except ExpansionError as error:
            raise instruction.wrong(str(error)) from None


def _expand_text(text: str, variables: Mapping[str, str], escape: str) -> str:
    """A here-document's body: variables count, quotes do not."""
    quoted = text.replace("'", f"{escape}'").replace('"', f'{escape}"')
    return expand(quoted, variables, escape)
