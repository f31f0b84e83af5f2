"""Cases in Chromium: review by keyboard and by click, two reviewers, sign-off, and the PDF that comes of it."""

import io
import re

import pytest
import sqlalchemy as sa
from browsing import settle, start_server
from pypdf import PdfReader

from bloodcell.cases import OTHER, CaseStore, Choice, encode_pixels
from tests.made_cases import make_answer, make_image

pytestmark = pytest.mark.browser
LABELS = ("neutrophil", "neutrophil", "neutrophil", "lymphocyte", "lymphocyte", "monocyte")
PROBABILITIES = (0.9, 0.6, 0.75, 0.8, 0.95, 0.7)


@pytest.fixture(scope="session")
def review_dashboard(chromium, shelf_folder, tmp_path_factory):
    """Address of a dashboard, and the store that it uses."""
    cache = tmp_path_factory.mktemp("review")
    store = CaseStore(sa.engine.make_url(f"sqlite:///{cache / 'home' / 'cases.sqlite'}"))
    process, url = start_server(shelf_folder, cache)
    yield url, store
    process.terminate()
    process.wait(10)


@pytest.fixture
def open_review(review_dashboard, open_tab, request):
    """Return a function that opens a fresh case of six cells for review, and the store."""
    url, store = review_dashboard
    case_id = store.create_case(request.node.name, "Ana")
    answers = [[make_answer(label, p)] for label, p in zip(LABELS, PROBABILITIES, strict=True)]
    store.add_images(case_id, [make_image(n, side=200) for n in range(6)], answers, "Ana")

    def open_page(**options):
        page = open_tab(f"{url}/cases?case={case_id}", **options)
        page.locator(".review .tile img[src]").first.wait_for()
        settle(page)
        return page

    return open_page, store, case_id


def decided(store, case_id):
    """Return number -> label, for the cells that a person has judged."""
    return {c.position: c.decision.label for c in store.load_case(case_id).cells if c.decision}


def wait_saved(page):
    """Wait until nothing is on its way to the database."""
    page.wait_for_timeout(300)
    page.wait_for_function(
        "() => [...document.querySelectorAll('*')].every(e => !e.shadowRoot || !e.shadowRoot.querySelector('.saving'))"
    )
    settle(page)


def cursor(page):
    return int(page.locator(".review .tile.cursor .number").text_content())


def test_cells_stand_by_predicted_class_least_certain_first_and_are_large(open_review):
    open_page, _, _ = open_review
    page = open_page()
    assert page.locator(".review .title").all_text_contents() == ["Lymphocyte", "Monocyte", "Neutrophil"]
    assert page.locator(".review .tile .number").all_text_contents() == ["4", "5", "6", "2", "3", "1"]
    assert cursor(page) == 4, "the cursor waits at the first cell that is not reviewed"
    box = page.locator(".review .frame").first.bounding_box()
    assert box["width"] >= 120 and page.locator(".review .large img").bounding_box()["width"] >= 160
    rendering = page.locator(".review .frame img").first.evaluate("e => getComputedStyle(e).imageRendering")
    assert rendering == "pixelated"


def test_keys_decide_move_undo_and_the_differential_recounts(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    side = page.locator(".st-key-cases_side")
    page.keyboard.press("6")
    page.keyboard.press("Enter")
    wait_saved(page)
    assert decided(store, case_id) == {4: "monocyte", 5: "lymphocyte"}
    assert cursor(page) == 6, "the cursor goes on to what is not reviewed"
    side.get_by_text("2 of 6 cells reviewed").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert cursor(page) == 2
    page.keyboard.press("3")
    wait_saved(page)
    assert decided(store, case_id)[2] == "erythroblast"
    side.get_by_text("5 white cells", exact=True).wait_for()
    side.get_by_text("1 erythroblast: 20.0 per 100 white cells").wait_for()
    page.keyboard.press("u")
    wait_saved(page)
    assert 2 not in decided(store, case_id) and cursor(page) == 2
    side.get_by_text("6 white cells", exact=True).wait_for()


def test_fast_keys_are_all_kept_in_their_order(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    for key in "123456":
        page.keyboard.press(key)
    wait_saved(page)
    names = ["basophil", "eosinophil", "erythroblast", "immature granulocyte", "lymphocyte", "monocyte"]
    assert decided(store, case_id) == dict(zip([4, 5, 6, 2, 3, 1], names, strict=True))
    for _ in range(6):
        page.keyboard.press("u")
    wait_saved(page)
    assert decided(store, case_id) == {}
    assert [r.undoes for r in store.load_case(case_id).records[-6:]] == [13, 12, 11, 10, 9, 8]


def test_other_is_described_in_words_and_several_are_judged_at_once(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    page.keyboard.press("9")
    page.keyboard.type("Blast 1")
    page.keyboard.press("Enter")
    wait_saved(page)
    assert decided(store, case_id) == {4: OTHER}, "digits typed into the text decide nothing"
    assert store.load_case(case_id).cells[3].decision.text == "Blast 1"
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("0")
    wait_saved(page)
    assert decided(store, case_id) == {4: OTHER, 5: "discarded", 6: "discarded", 2: "discarded"}
    page.keyboard.press("Control+z")
    wait_saved(page)
    assert decided(store, case_id) == {4: OTHER}, "one move is undone as one"
    page.keyboard.press("9")
    page.keyboard.type("never mind")
    page.keyboard.press("Escape")
    assert not page.locator(".review .words").is_visible()
    page.keyboard.press("n")
    page.keyboard.type("look again")
    page.keyboard.press("Enter")
    wait_saved(page)
    assert [c.position for c in store.load_case(case_id).cells if c.comments] == [cursor(page)]


def test_clicks_do_what_keys_do(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    tile = page.locator(".review .tile")
    tile.nth(3).click()
    assert cursor(page) == 2
    page.get_by_role("button", name="eosinophil, key 2").click()
    wait_saved(page)
    assert decided(store, case_id) == {2: "eosinophil"}
    page.get_by_role("button", name=re.compile("select all 2 of Lymphocyte")).click()
    tile.nth(2).locator(".mark").click()
    page.get_by_role("button", name="confirm, key Enter").click()
    wait_saved(page)
    assert decided(store, case_id) == {2: "eosinophil", 4: "lymphocyte", 5: "lymphocyte", 6: "monocyte"}
    page.get_by_role("button", name="undo, key U").click()
    wait_saved(page)
    assert decided(store, case_id) == {2: "eosinophil"}, "what was confirmed in one move is undone in one"


def test_keys_typed_into_a_text_field_decide_nothing(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    name = page.get_by_label("Your name")
    name.fill("Dr. 1 2 3")
    name.press("Enter")
    settle(page)
    assert decided(store, case_id) == {}
    page.locator(".review .tile").first.click()
    page.keyboard.press("5")
    wait_saved(page)
    assert store.load_case(case_id).cells[3].decision.reviewer == "Dr. 1 2 3"


def test_keys_decide_after_the_gallerys_own_switches_were_used(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    page.get_by_text("Move on").click()
    settle(page)
    page.keyboard.press("ArrowRight")
    assert cursor(page) == 4, "arrows belong to the switch"
    page.keyboard.press("6")
    wait_saved(page)
    assert decided(store, case_id) == {4: "monocyte"} and cursor(page) == 4
    page.get_by_role("radio", name="what counts now").or_(page.get_by_role("button", name="what counts now")).click()
    settle(page)
    page.keyboard.press("u")
    wait_saved(page)
    assert decided(store, case_id) == {}
    page.keyboard.press("9")
    page.keyboard.type("platelet clump")
    page.get_by_role("checkbox", name="counts as a white cell").click()
    page.keyboard.press("5")
    wait_saved(page)
    assert decided(store, case_id) == {}, "the form that asks for words decides nothing before it is saved"


def test_what_was_decided_before_the_name_was_typed_can_be_undone(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    page.keyboard.press("6")
    wait_saved(page)
    name = page.get_by_label("Your name")
    name.fill("Ann")
    name.press("Enter")
    settle(page)
    page.get_by_role("button", name="undo, key U").click()
    wait_saved(page)
    assert decided(store, case_id) == {} and store.load_case(case_id).records[-1].reviewer == "Ann"


def test_a_closed_tab_loses_nothing(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    page.keyboard.press("5")
    page.keyboard.press("5")
    wait_saved(page)
    page.context.close()
    again = open_page()
    assert again.locator(".review .decided").nth(0).text_content().startswith("✓ confirmed")
    assert decided(store, case_id) == {4: "lymphocyte", 5: "lymphocyte"} and cursor(again) == 6


def test_the_second_reviewer_sees_what_the_first_decided(open_review):
    """While both look at the same cell, and also when the second one has not seen it yet."""
    open_page, store, case_id = open_review
    page = open_page()
    case = store.load_case(case_id)
    store.decide(case_id, [Choice(case.cells[3].id, "basophil")], "Ben", case.num_records)
    page.get_by_text("Ben said 'basophil' of cell no. 4").first.wait_for()
    settle(page)
    assert "basophil" in page.locator(".review .decided").nth(0).text_content()
    page.locator(".review .tile").nth(1).click()
    # Ben decides, and Ana presses her key before her page has asked what is new.
    page.evaluate("() => {}")
    seen = store.newest_record(case_id)
    store.decide(case_id, [Choice(case.cells[4].id, "eosinophil")], "Ben", seen)
    page.keyboard.press("7")
    page.get_by_text("Ben said 'eosinophil' of cell no. 5").first.wait_for()
    settle(page)
    assert decided(store, case_id)[5] in ("eosinophil", "neutrophil")
    last = [r for r in store.load_case(case_id).records if r.cell_id == case.cells[4].id and r.label]
    assert [r.reviewer for r in last][:1] == ["Ben"], "Ben's decision stands in the record whatever came after"


def test_from_keys_to_signature_to_pdf(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    page.keyboard.press("Control+a")
    page.keyboard.press("Enter")
    wait_saved(page)
    assert len(decided(store, case_id)) == 6
    page.get_by_label("Reviewer's name").fill("Dr. Ana Ruiz")
    page.get_by_role("button", name="Sign and lock the case").click()
    page.get_by_text("The case is locked.").first.wait_for()
    settle(page)
    assert store.load_case(case_id).signed_by == "Dr. Ana Ruiz"
    assert page.locator(".review .choice").first.is_disabled()
    page.locator(".review .tile").first.click()
    page.keyboard.press("1")
    page.wait_for_timeout(800)
    assert decided(store, case_id)[4] == "lymphocyte", "a signed case takes no more decisions"
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF").click()
    reader = PdfReader(io.BytesIO(download.value.path().read_bytes()))
    text = reader.pages[0].extract_text()
    assert "Signed by Dr. Ana Ruiz" in text and "6 white cells counted" in text


def test_images_dropped_on_the_page_become_cells_to_review(review_dashboard, open_tab):
    url, store = review_dashboard
    case_id = store.create_case("dropped", "Ana")
    page = open_tab(f"{url}/cases?case={case_id}")
    files = [
        {"name": f"cell {n}.png", "mimeType": "image/png", "buffer": encode_pixels(make_image(n).pixels)}
        for n in range(3)
    ]
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"text"}
    page.locator('[data-testid="stFileUploader"] input[type=file]').first.set_input_files([*files, broken])
    page.get_by_role("button", name="Add 4 to this case").click()
    page.get_by_text("3 cells were added, 1 file could not be read.").wait_for()
    page.locator(".review .tile img[src]").nth(2).wait_for()
    assert len(store.load_case(case_id).cells) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_review_is_accessible_and_fits_a_phone(open_review, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    open_page, store, case_id = open_review
    page = open_page(scheme=scheme)
    page.keyboard.press("6")
    wait_saved(page)
    others = {"exclude": [['[data-testid="stSidebarNav"]']]}  # Streamlit's own lists, which axe minds on every page
    found = axe.run(page, context=others).response["violations"]
    assert not found, [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in found]
    phone = open_page(width=390, height=844, scheme=scheme)
    wide = phone.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 2")
    bar = phone.locator(".review .choices").bounding_box()
    assert not wide and bar["x"] >= 0 and bar["x"] + bar["width"] <= 391
    phone.locator(".review .choice").nth(4).click()
    wait_saved(phone)
    assert len(decided(store, case_id)) == 2


def test_a_text_is_never_html(open_review):
    open_page, store, case_id = open_review
    case = store.load_case(case_id)
    nasty = "<img src=x onerror='document.title=1'>"
    store.decide(case_id, [Choice(case.cells[3].id, OTHER, nasty)], nasty, case.num_records)
    page = open_page()
    assert nasty in page.locator(".review .decided").first.text_content()
    assert page.locator(".review .decided img").count() == 0 and page.title() != "1"


def focused(page):
    """Return the classes of what has the focus, inside the gallery too."""
    return page.evaluate(
        """() => {
            let element = document.activeElement
            while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
            return element.className
        }"""
    )


def test_words_are_for_the_cells_that_were_asked_about(open_review):
    """However the cursor moves while the reader compares."""
    open_page, store, case_id = open_review
    page = open_page()
    page.keyboard.press("9")
    page.locator(".review .tile").nth(1).click()
    assert cursor(page) == 5, "the other cell is shown large, to compare"
    page.keyboard.type("blast 2")
    page.get_by_role("button", name="Save", exact=True).click()
    wait_saved(page)
    assert decided(store, case_id) == {4: OTHER}
    assert store.load_case(case_id).cells[3].decision.text == "blast 2"
    page.keyboard.press("n")
    asked = cursor(page)
    page.locator(".review .tile").nth(3).locator(".mark").click()
    page.keyboard.type("look again")
    page.keyboard.press("Enter")
    wait_saved(page)
    assert [c.position for c in store.load_case(case_id).cells if c.comments] == [asked] != [2]


def test_words_for_a_case_signed_meanwhile_are_closed_with_a_word(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    page.evaluate("() => { for (let timer = 0; timer < 99999; timer++) clearInterval(timer) }")  # the page asks nothing
    page.keyboard.press("9")
    page.keyboard.type("bla")
    case = store.load_case(case_id)
    seen = store.decide(case_id, [Choice(c.id, c.answer.label) for c in case.cells], "Ben", case.num_records)
    store.sign_off(case_id, "Ben", True, seen)
    page.get_by_role("button", name="basophil, key 1").click()
    page.locator(".review .words").wait_for(state="hidden")
    assert "signed meanwhile" in page.locator(".review .live").text_content()
    assert decided(store, case_id)[4] == "lymphocyte"


def test_words_for_a_cell_of_a_case_that_was_left_are_closed_with_a_word(open_review):
    open_page, store, case_id = open_review
    other = store.create_case("another one to go back from", "Ana")
    store.add_images(other, [make_image(90)], [[make_answer("monocyte")]], "Ana")
    page = open_page()
    page.evaluate("([a, b]) => history.pushState({}, '', location.href.replace(a, b))", [case_id, other])
    page.evaluate("dispatchEvent(new PopStateEvent('popstate'))")
    page.locator("h2", has_text="another one to go back from").wait_for()
    settle(page)
    page.keyboard.press("9")
    page.keyboard.type("bla")
    page.go_back()
    page.locator("h2", has_text="another one to go back from").wait_for(state="hidden")
    page.locator(".review .words").wait_for(state="hidden")
    assert "another case is shown" in page.locator(".review .live").text_content()
    assert decided(store, case_id) == {} == decided(store, other)


def test_a_key_held_down_decides_once_and_arrows_go_on(open_review):
    """Nobody has looked at the cells that a held key would run over."""
    open_page, store, case_id = open_review
    page = open_page()

    def hold(key, times=4):
        for _ in range(times):
            page.keyboard.down(key)
        page.keyboard.up(key)

    hold("Enter")
    hold("1")
    hold("0")
    wait_saved(page)
    assert decided(store, case_id) == {4: "lymphocyte", 5: "basophil", 6: "discarded"}
    hold("u")
    wait_saved(page)
    assert decided(store, case_id) == {4: "lymphocyte", 5: "basophil"} and cursor(page) == 6
    page.keyboard.press("9")
    page.keyboard.type("blast")
    hold("Enter")
    wait_saved(page)
    assert decided(store, case_id) == {4: "lymphocyte", 5: "basophil", 6: OTHER}, (
        "the Enter that saved confirms nothing"
    )
    hold("ArrowLeft", 3)
    assert cursor(page) == 4


def test_whether_an_other_cell_counts_as_white_is_kept_and_proposed(open_review):
    open_page, store, case_id = open_review
    page = open_page()
    white = page.get_by_role("checkbox", name="counts as a white cell")

    def other_cell():
        decision = store.load_case(case_id).cells[3].decision
        return decision.text, decision.is_white

    page.keyboard.press("9")
    assert white.is_checked()
    page.keyboard.type("Platelet clump")
    assert not white.is_checked(), "it is known to be none"
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("9")
    assert not white.is_checked(), "also before it is saved"
    page.keyboard.press("Escape")
    wait_saved(page)
    assert other_cell() == ("Platelet clump", False)
    page.keyboard.press("9")
    assert not white.is_checked()
    page.keyboard.press("End")
    page.keyboard.type("s")
    page.keyboard.press("Enter")
    wait_saved(page)
    assert other_cell() == ("Platelet clumps", False), "editing the words switches nothing on"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("9")
    assert not white.is_checked()
    white.check()
    page.locator(".review .words input[type=text]").fill("artefact")
    assert white.is_checked(), "what the reader ticked stays as it is"
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert cursor(page) == 5
    page.keyboard.press("9")
    page.keyboard.type("blast")
    assert white.is_checked()


@pytest.mark.parametrize("only_open", [False, True])
def test_the_focus_stays_in_the_list_after_a_decision(open_review, only_open):
    open_page, store, case_id = open_review
    page = open_page()
    if only_open:
        page.get_by_text("Only to review").click()
        settle(page)
    page.locator(".review .tile").first.click()
    for key in "56":
        page.keyboard.press(key)
        wait_saved(page)
        assert "tile" in focused(page) and "cursor" in focused(page)
    assert page.locator(".review .tile").count() == (4 if only_open else 6)
    page.keyboard.press("u")
    wait_saved(page)
    assert cursor(page) == 5 and "cursor" in focused(page), "undoing leads to the cell that it concerns"
    page.keyboard.press("Control+a")
    page.keyboard.press("Enter")
    wait_saved(page)
    assert ("empty" if only_open else "cursor") in focused(page)
    assert len(decided(store, case_id)) == 6


def test_what_was_refused_in_one_case_is_not_said_over_another(open_review):
    open_page, store, case_id = open_review
    other = store.create_case("the case after it", "Ana")
    store.add_images(other, [make_image(91)], [[make_answer("monocyte")]], "Ana")
    page = open_page()
    page.locator(".review .tile").nth(1).click()
    page.keyboard.press("u")
    refused = page.get_by_text("There is nothing of yours left to undo in this case.")
    refused.wait_for()
    settle(page)
    assert cursor(page) == 5 and "cursor" in focused(page), "the sentence above leaves the gallery as it is"
    page.get_by_role("button", name="All cases").click()
    page.locator(f".st-key-cases_open_{other} button").click()
    page.locator("h2", has_text="the case after it").wait_for()
    page.locator(".review .tile").first.wait_for()
    settle(page)
    assert refused.count() == 0
    page.get_by_role("button", name="All cases").click()
    page.locator(f".st-key-cases_open_{case_id} button").click()
    refused.wait_for()
    page.locator(".review .tile").first.click()
    page.keyboard.press("5")
    wait_saved(page)
    assert refused.count() == 0, "it stands until the next move in its case"
