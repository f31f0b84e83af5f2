"""Which lesson do we take today?"""

import streamlit as st

from bloodcell.views.components import data_source_line, open_page, remembered_segments, show_damaged, theme_mode
from bloodcell.views.components_lessons import find_fact, show_needs
from bloodcell.views.lessons import Lesson, Step, fill_text
from bloodcell.views.lessons_texts import LESSONS
from bloodcell.views.theme import palette

# A step's link is what the step is for: it looks like a button.
STYLE = """<style>
[class*="st-key-lessons_go_"] a {border: 1px solid PRIMARY; border-radius: 6px; padding: .3rem .8rem}
</style>"""


def show_step(number: int, step: Step, lesson: Lesson) -> None:
    """One step: what to do, the link that sets the page's state, and what there is to see."""
    with st.container(border=True, gap="small"):
        st.markdown(f"**{number}. {step.title}** :gray[· {step.minutes} min]")
        st.markdown(fill_text(step.task, find_fact))
        show_needs(step)
        with st.container(key=f"lessons_go_{lesson.key}_{number}", horizontal=True):
            for label, parameters in step.links:
                st.page_link(
                    step.path,
                    label=label,
                    icon=":material/arrow_outward:",
                    query_params={key: _as_parameter(value) for key, value in parameters.items()},
                )
        with st.expander("What there is to see", icon=":material/lightbulb:", key=f"lessons_{lesson.key}_{number}"):
            st.markdown(fill_text(step.answer, find_fact))


def _as_parameter(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


open_page(
    "Lessons",
    "Five lessons of about ten minutes. Each step opens a page in the state that the step is about; "
    "the browser's “back” returns here.",
)
show_damaged()
st.html(STYLE.replace("PRIMARY", palette(theme_mode()).primary))
chosen = remembered_segments("Lesson", {lesson.key: lesson.short for lesson in LESSONS}, "lessons_lesson")
lesson = next(one for one in LESSONS if one.key == chosen)
st.header(lesson.title, anchor=False)
st.markdown(f"**Aim:** {lesson.aim} :gray[About {lesson.minutes} minutes.]")
for number, step in enumerate(lesson.steps, start=1):
    show_step(number, step, lesson)
st.markdown(f"**To take home:** {fill_text(lesson.closing, find_fact)}")
data_source_line()
