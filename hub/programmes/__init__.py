"""What a support programme is: data read from profiles/programmes."""

from hub.programmes.choose import choose
from hub.programmes.load import load
from hub.programmes.programme import Programme

__all__ = ["Programme", "choose", "load"]
