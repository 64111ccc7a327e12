"""The errors that a user can cause. Each says what is wrong, where, and what to do about it."""


class AligncatError(Exception):
    """Base of every error that aligncat raises on purpose; the command line prints it as one line."""


class DataError(AligncatError):
    """A dataset file, an annotation row or an expression is not what its format asks for."""


class ImageError(DataError):
    """An image is missing, corrupt, empty, or larger than the limit."""


class MissingTruthError(DataError):
    """A referent has neither box nor mask, so that it can be trained on and not evaluated."""


class UnsafePickleError(DataError):
    """A pickle asks for something other than plain data, so it was not loaded."""


class DownloadError(AligncatError):
    """A file cannot be had from its mirror."""


class CheckpointError(AligncatError):
    """Somebody's checkpoint lacks tensors, has others, or is of another model than was named."""


class DetectorError(AligncatError):
    """A detector cannot be loaded, or does not fit the data it is asked to serve."""


class StoreError(AligncatError):
    """A store is missing, unfinished, damaged, or was made by another detector."""


class ConfigError(AligncatError):
    """A setting, or a combination of settings, that cannot work."""
