"""Which network reads blood cells best, and at what cost? This file only routes."""

from bloodcell.views.components import navigate

navigate().run()
