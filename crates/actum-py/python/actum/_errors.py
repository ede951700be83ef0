"""Exceptions by kind, with the messages of the library."""

from __future__ import annotations

__all__ = [
    "ActumError",
    "ActumWarning",
    "DataError",
    "DivergedError",
    "ExistsError",
    "FileError",
    "FormatError",
    "InternalError",
    "InterruptedError",
    "MissingError",
    "SettingError",
    "ShapeError",
    "VersionError",
]


class ActumError(Exception):
    """Any error of the library."""

    __module__ = "actum"


class DataError(ActumError, ValueError):
    """A number is outside its range or not finite, or too few are given."""

    __module__ = "actum"


class FormatError(DataError):
    """Data do not follow their format, or have another type."""

    __module__ = "actum"


class MissingError(DataError):
    """A key, column, time or name does not exist."""

    __module__ = "actum"


class ShapeError(DataError):
    """Two sizes that must agree do not."""

    __module__ = "actum"


class SettingError(ActumError, ValueError):
    """A setting is unknown or outside its range."""

    __module__ = "actum"


class FileError(ActumError, RuntimeError):
    """A file could not be read or written."""

    __module__ = "actum"


class ExistsError(ActumError, RuntimeError):
    """Something exists already and would be lost."""

    __module__ = "actum"


class VersionError(ActumError, RuntimeError):
    """A run was written by an incompatible version."""

    __module__ = "actum"


class DivergedError(ActumError, RuntimeError):
    """Numbers stopped being finite, or a method failed to converge."""

    __module__ = "actum"


class InterruptedError(ActumError, RuntimeError):
    """The work was asked to stop; what is said to be kept is."""

    __module__ = "actum"


class InternalError(ActumError, RuntimeError):
    """The library went wrong, and it is not the caller's fault."""

    __module__ = "actum"


class ActumWarning(UserWarning):
    """Something in the data or the fit that a person should know."""

    __module__ = "actum"
