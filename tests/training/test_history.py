from napari_film.training.history import table


def test_what_was_not_measured_is_empty() -> None:
    rows = [
        {"epoch": 1, "learning_rate": 0.1, "loss": 0.5},
        {"epoch": 2, "learning_rate": 0.05, "loss": 0.25, "dice": 0.5, "dice/b": 0.75, "dice/a": 0.25},
    ]
    assert table(rows).splitlines() == ["epoch,learning_rate,loss,dice,dice/a,dice/b", "1,0.1,0.5,,,", "2,0.05,0.25,0.5,0.25,0.75"]
