"""Errors that a user can cause. Each message says what is wrong, where it is wrong, and what to do."""


class AligncatError(Exception):
    """Base class of all errors that aligncat raises on purpose. The command line prints them as one line."""


class DataError(AligncatError):
    """A dataset file, an annotation row or an expression does not follow its format."""


class ImageError(DataError):
    """An image is missing, corrupt, empty, or larger than the limit."""


class MissingTruthError(DataError):
    """A referent has neither a box nor a mask, so it can be used for training but not for evaluation."""


class UnsafePickleError(DataError):
    """A pickle contains more than plain data, so it was not loaded."""


class DownloadError(AligncatError):
    """A file cannot be downloaded from its mirror."""


class CheckpointError(AligncatError):
    """A checkpoint cannot be converted: tensors are missing or unexpected, or it is of another model than named."""


class DetectorError(AligncatError):
    """A detector cannot be loaded, or does not fit the data."""


class StoreError(AligncatError):
    """A store is missing, unfinished or damaged, lacks an image, or was made with another detector."""


class ConfigError(AligncatError):
    """A setting, or a combination of settings, is invalid."""
