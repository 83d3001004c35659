"""Pictures that a section of a config names."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from bmzoo.config.fields import FileName, PathText, Section, as_tuple


class Images(Section):
    """A folder of pictures, taken in name order; `count` is how many are used (all when left out).

    `first` names pictures that come before the others, in the order given.
    """

    folder: PathText
    """A folder of pictures, looked up as every file of a config."""
    count: Annotated[int, Field(ge=1)] | None = None
    """How many are used; all when left out."""
    first: Annotated[tuple[FileName, ...], BeforeValidator(as_tuple)] = ()
    """Names of pictures that come before the others, in the order given."""

    @model_validator(mode="after")
    def _once(self) -> "Images":
        if twice := [name for index, name in enumerate(self.first) if name in self.first[:index]]:
            raise ValueError(f"first names a picture twice: {twice[0]}")
        return self
