"""Can you beat the network?"""

import streamlit as st

from bloodcell.errors import DatasetError
from bloodcell.views import cache, cache_quiz
from bloodcell.views import figures_images as pictures
from bloodcell.views.components import missing_dataset, open_page, research_use_notice, selected_models
from bloodcell.views.components_quiz import choose_round, find_game, play

open_page("Quiz", "Beat the network: name the cell before it does. The selected models answer the same cells.")
st.html(pictures.GALLERY_STYLE)
try:
    with st.skeleton(height=400):
        images = cache.load_split(cache_quiz.SPLIT)
except DatasetError as error:
    st.markdown("The quiz shows cells of the test split, so it needs the dataset's images.")
    missing_dataset(error, key="quiz")
    research_use_notice()
    st.stop()

wanted = choose_round()
game = find_game(wanted, images)
if not game.rows:
    st.info(
        "No network of the project misses any cell of the test split, or none is trained here: choose other cells.",
        icon=":material/check:",
    )
    st.stop()
if len(game.rows) < wanted.length:
    st.caption(f"There are only {len(game.rows)} such cells.")
with st.container(key="quiz_play"):
    play(game, wanted, images, cache_quiz.load_stored(selected_models()))
st.caption(
    f":material/database: Cells and labels: the test split of {images.identity.label}. The networks' answers are those "
    "stored when they were evaluated."
)
research_use_notice()
