"""What an estimator was given to fit, and what its other methods accept after that."""

from typing import Any

import attrs
from sklearn.utils.validation import validate_data

from convae_zoo.errors import InputError
from convae_zoo.tasks.estimators.pictures import Pictures, as_pictures, is_pictures
from convae_zoo.tasks.estimators.table import Table


@attrs.frozen(kw_only=True)
class Intake:
    """The form of X.

    Attributes:
        channels: of every picture.
        table: how rows are images; None if X holds pictures.
    """

    channels: int
    table: Table | None

    @classmethod
    def learn(cls, estimator: Any, X: Any) -> "tuple[Intake, Pictures]":  # noqa: N803 - scikit-learn's name
        """Bring the X of a fit into one form.

        Args:
            estimator: with `image_shape` and `max_pixels`; it gets `n_features_in_` and
                `feature_names_in_` if X is a table.
            X: pictures, or a table.

        Raises:
            InputError: X cannot be used.
        """
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
            vars(estimator).pop(name, None)
        if is_pictures(X):
            pictures = as_pictures(X, max_pixels=estimator.max_pixels)
            intake = cls(channels=len(pictures[0]), table=None)
            return intake, attrs.evolve(pictures, channels=intake.channels)
        rows = _rows(estimator, X, reset=True)
        table = Table.of(rows, estimator.image_shape)
        intake = cls(channels=table.image_shape[0], table=table)
        return intake, Pictures(table.to_images(rows), intake.channels)

    def pictures(self, estimator: Any, X: Any) -> Pictures:  # noqa: N803 - the same
        """Bring the X of another method into one form.

        Raises:
            InputError: X cannot be used, or has another form than in fit.
        """
        if is_pictures(X) != (self.table is None):
            given, fitted = ("pictures", "a 2-D X") if self.table else ("a 2-D X", "pictures")
            if self.table is None:
                _rows(estimator, X, reset=False)  # says what is wrong with it, if anything is
            raise InputError(
                f"X holds {given}, but {type(estimator).__name__} was fitted to {fitted}"
            )
        if self.table is None:
            return as_pictures(X, self.channels, max_pixels=estimator.max_pixels)
        rows = _rows(estimator, X, reset=False)
        return Pictures(self.table.to_images(rows), self.channels)


def _rows(estimator: Any, X: Any, *, reset: bool) -> Any:  # noqa: N803 - the same
    try:
        return validate_data(
            estimator, X, reset=reset, dtype="numeric", ensure_min_samples=2 if reset else 1
        )
    except ValueError as error:
        raise InputError(str(error)) from error
