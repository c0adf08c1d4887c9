"""How a container of an image is started: `config` of Docker and OCI (image spec 1.1, config.md, "Properties").

Docker's further keys (Healthcheck, Shell, OnBuild and so on: Docker image spec v1.2) are kept, since Docker reads them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dockertools_py.errors import DockertoolsError, shown

ContainerConfig = Mapping[str, Any]


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _set(value: Any) -> bool:
    return isinstance(value, dict) and all(item in ({}, None) for item in value.values())


def _string_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _variables(value: Any) -> bool:
    return _strings(value) and all("=" in item.lstrip("=") for item in value)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = (
    dict.fromkeys(("Entrypoint", "Cmd", "Shell", "OnBuild"), (_strings, 'a list of strings, as in ["/bin/sh"]'))
    | dict.fromkeys(
        ("User", "WorkingDir", "StopSignal", "Hostname", "Domainname", "Image", "MacAddress"),
        (lambda value: isinstance(value, str), "a string"),
    )
    | dict.fromkeys(
        (
            "ArgsEscaped",
            "AttachStdin",
            "AttachStdout",
            "AttachStderr",
            "Tty",
            "OpenStdin",
            "StdinOnce",
            "NetworkDisabled",
        ),
        (lambda value: isinstance(value, bool), "true or false"),
    )
    | dict.fromkeys(("Memory", "MemorySwap", "CpuShares", "StopTimeout"), (_integer, "a whole number"))
    | {
        "Env": (_variables, 'a list of "NAME=value" strings'),
        "ExposedPorts": (_set, 'an object such as {"80/tcp": {}}'),
        "Volumes": (_set, 'an object such as {"/data": {}}'),
        "Labels": (_string_map, "an object of strings"),
        "Healthcheck": (lambda value: isinstance(value, dict), 'an object such as {"Test": ["CMD", "/bin/check"]}'),
    }
)


def parse(value: Any, what: str) -> ContainerConfig:
    """A config as given, without its null values; keys that nobody defines are kept. Raises DockertoolsError."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DockertoolsError(f"{what}: config is {shown(value)}, not an object")
    for key, setting in value.items():
        check, rule = _RULES.get(key, (lambda _: True, ""))
        if setting is not None and not check(setting):
            raise DockertoolsError(f"{what}: config.{key} is {shown(setting)}: write {rule}")
    return {key: setting for key, setting in value.items() if setting is not None}


def selected(base: ContainerConfig, keys: str | Sequence[str]) -> ContainerConfig:
    """What of a base's config is to be inherited: `all`, `none`, `env` for Env alone, or a list of keys."""
    if keys == "all":
        return base
    wanted = {"none": (), "env": ("Env",)}[keys] if isinstance(keys, str) else keys
    return {key: setting for key, setting in base.items() if key in wanted}


def inherit(base: ContainerConfig, own: ContainerConfig) -> ContainerConfig:
    """`own` on top of `base`, as FROM in a Dockerfile does it.

    Env by name, maps merged, a new Entrypoint drops the base's Cmd, everything else is the base's unless given.
    """
    result = dict(base)
    if "Entrypoint" in own:
        result.pop("Cmd", None)
    for key, setting in own.items():
        if key == "Env":
            result[key] = merge_env(base.get(key, []), setting)
        elif key in ("ExposedPorts", "Volumes", "Labels"):
            result[key] = {**base.get(key, {}), **setting}
        else:
            result[key] = setting
    return result


def merge(configs: Iterable[ContainerConfig]) -> ContainerConfig:
    """Several configs as one, left to right, by the same rules."""
    result: ContainerConfig = {}
    for config in configs:
        result = inherit(result, config)
    return result


def merge_env(base: Sequence[str], own: Sequence[str]) -> list[str]:
    """Variables of both, each name once: at its first place, with its last value."""
    values: dict[str, str] = {}
    for variable in [*base, *own]:
        values[variable.partition("=")[0]] = variable
    return list(values.values())
