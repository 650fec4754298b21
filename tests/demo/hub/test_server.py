"""The sample Hub against the real client: what it lists, refuses, redirects and breaks."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from generated_hub.models import GeneratedModels, generate
from generated_hub.pages import PreparedPages
from generated_hub.server import generated_hub
from hub_faults import (
    NOT_A_LIST,
    Body,
    Drip,
    ExpiredCursor,
    Faults,
    Hang,
    RepeatingPage,
    Reset,
    Status,
    Truncated,
    following,
    listing,
)
from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import (
    BadRequestError,
    DisabledRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import parse_ratelimit_headers

from registry.demo.hub.listing import ListQuery
from registry.demo.hub.server import HubServer
from registry.errors import UsageError

TOKEN = "hf_sample"


def model(number: int, **fields: Any) -> dict[str, Any]:
    name = f"maker/model-{number:02}"
    day = f"2024-01-{number:02}T00:00:00.000Z"
    return {
        "_id": f"{number:024x}",
        "id": name,
        "modelId": name,
        "author": "maker",
        "createdAt": day,
        "lastModified": day,
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": number % 3,
        "likes": 0,
        "trendingScore": 0,
        "tags": [],
        "sha": f"{number:040x}",
        "cardData": {"license": "mit"},
        "config": {"model_type": "llama"},
        **fields,
    }


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer((model(n) for n in range(1, 26)), page_limit=10) as server:
        yield server


def api(server: HubServer, token: str | None = None) -> HfApi:
    # False, not None: a token that the machine's user has is not for this Hub.
    return HfApi(endpoint=server.url, token=token or False)


def names(models: Iterator[ModelInfo] | Any) -> list[str]:
    return [found.id for found in models]


def get(server: HubServer, path: str, **headers: str) -> httpx2.Response:
    # No certificates are read for a plain connection: that takes longer than the request.
    return httpx2.get(f"{server.url}{path}", headers=headers, timeout=5, verify=False)


class TestListing:
    def test_follows_pages_to_the_end(self, hub: HubServer) -> None:
        found = names(api(hub).list_models(sort="created_at"))
        assert found == [f"maker/model-{n:02}" for n in range(25, 0, -1)]
        assert [listing(request) for request in hub.requests] == [True] * 3
        assert ["cursor" in request.query for request in hub.requests] == [False, True, True]
        assert hub.requests[0].query["sort"] == ["createdAt"]

    def test_orders_by_counters_and_breaks_ties_by_id(self, hub: HubServer) -> None:
        found = names(api(hub).list_models(sort="downloads"))
        key = sorted(range(1, 26), key=lambda n: (-(n % 3), n))
        assert found == [f"maker/model-{n:02}" for n in key]

    def test_default_order_is_trending(self, hub: HubServer) -> None:
        hub.put(model(7, trendingScore=9))
        assert names(api(hub).list_models(limit=2)) == ["maker/model-07", "maker/model-01"]

    def test_plain_items_have_the_hubs_fields(self, hub: HubServer) -> None:
        plain = get(hub, "/api/models?limit=1").json()[0]
        assert "lastModified" not in plain
        assert {"_id", "id", "modelId", "tags", "createdAt"} <= set(plain)
        full = get(hub, "/api/models?limit=1&full=true&cardData=true").json()[0]
        assert {"sha", "lastModified", "author", "gated", "cardData"} <= set(full)
        assert "config" not in full

    def test_expand_gives_only_what_is_asked(self, hub: HubServer) -> None:
        (item,) = get(hub, "/api/models?limit=1&expand=cardData&expand=gguf").json()
        assert set(item) == {"_id", "id", "modelId", "cardData"}
        (found,) = api(hub).list_models(limit=1, expand=["lastModified", "config"])
        assert found.last_modified is not None
        assert found.config == {"model_type": "llama"}
        assert found.tags is None

    @pytest.mark.parametrize(
        "query",
        [
            "expand=baseModels",
            "expand=childrenModelCount",
            "expand=usedStorage",
            "expand=nothing",
            "expand=gguf&full=true",
            "expand=gguf&cardData=true",
            "expand=gguf&config=true",
            "sort=size",
            "direction=1",
            "limit=0",
            "limit=many",
            "cursor=garbled",
            "cursor=Z2FyYmxlZDow",
            "apps=ollama",
        ],
    )
    def test_refuses_what_the_hub_refuses(self, hub: HubServer, query: str) -> None:
        reply = get(hub, f"/api/models?{query}")
        assert reply.status_code == 400
        assert isinstance(reply.json()["error"], str)

    def test_the_client_names_a_refusal(self, hub: HubServer) -> None:
        with pytest.raises(BadRequestError, match="baseModels"):
            list(api(hub).list_models(expand=["baseModels"]))

    def test_filters(self, hub: HubServer) -> None:
        child = model(
            30,
            id="Other/Child-GGUF",
            author="Other",
            tags=["gguf", "license:mit", "base_model:finetune:maker/model-01"],
            pipeline_tag="text-generation",
            gated="auto",
        )
        hub.put(child)
        hub.put(model(31, tags=["gguf"]))
        client = api(hub)
        assert names(client.list_models(filter=["gguf", "license:mit"])) == ["Other/Child-GGUF"]
        parent = "base_model:finetune:maker/model-01"
        assert names(client.list_models(filter=parent)) == ["Other/Child-GGUF"]
        assert names(client.list_models(author="Other")) == ["Other/Child-GGUF"]
        assert names(client.list_models(search="child")) == ["Other/Child-GGUF"]
        assert names(client.list_models(pipeline_tag="text-generation")) == ["Other/Child-GGUF"]
        assert names(client.list_models(gated=True)) == ["Other/Child-GGUF"]
        assert len(names(client.list_models(gated=False))) == 26
        assert names(client.list_models(filter="awq")) == []

    def test_a_filtered_listing_keeps_its_filters_over_pages(self, hub: HubServer) -> None:
        for number in range(1, 26, 2):
            hub.put(model(number, tags=["odd", "a&b=c"]))
        found = names(api(hub).list_models(filter=["odd", "a&b=c"], sort="created_at"))
        assert found == [f"maker/model-{n:02}" for n in range(25, 0, -2)]
        assert len(hub.requests) == 2

    def test_an_exactly_full_last_page_has_no_next(self, hub: HubServer) -> None:
        for number in range(21, 26):
            hub.remove(f"maker/model-{number}")
        assert len(names(api(hub).list_models(sort="created_at"))) == 20
        assert len(hub.requests) == 2

    def test_a_removed_model_is_no_longer_listed(self, hub: HubServer) -> None:
        assert "maker/model-16" in names(api(hub).list_models(sort="created_at"))
        hub.remove("maker/model-16")
        assert "maker/model-16" not in names(api(hub).list_models(sort="created_at"))

    def test_a_cursor_is_a_place_not_a_row_number(self, hub: HubServer) -> None:
        first = get(hub, "/api/models?sort=createdAt")
        hub.remove("maker/model-16")  # the last row of the page just read
        hub.put(model(28))  # created later: belongs before the cursor
        second = httpx2.get(first.links["next"]["url"])
        assert second.json()[0]["id"] == "maker/model-15"

    def test_cursors_expire(self, hub: HubServer) -> None:
        first = get(hub, "/api/models?sort=createdAt")
        hub.expire_cursors()
        refused = httpx2.get(first.links["next"]["url"])
        assert (refused.status_code, refused.json()) == (400, {"error": "Invalid cursor"})
        assert len(names(api(hub).list_models())) == 25

    def test_private_models_need_a_token(self, hub: HubServer) -> None:
        hub.put(model(27, private=True))
        assert len(names(api(hub).list_models())) == 25
        assert "maker/model-27" in names(api(hub, TOKEN).list_models())
        assert api(hub, TOKEN).model_info("maker/model-27").private is True
        with pytest.raises(HfHubHTTPError, match="401"):
            api(hub).model_info("maker/model-27")


class TestDetail:
    def test_gives_the_whole_record(self, hub: HubServer) -> None:
        found = api(hub).model_info("maker/model-03")
        assert found.sha == f"{3:040x}"
        assert found.card_data is not None
        assert found.card_data["license"] == "mit"
        assert found.trending_score is None
        assert found.downloads_all_time is None

    def test_names_without_an_organisation(self, hub: HubServer) -> None:
        hub.put(model(29, id="gpt2"))
        assert api(hub).model_info("gpt2").id == "gpt2"

    def test_revisions(self, hub: HubServer) -> None:
        client = api(hub)
        assert client.model_info("maker/model-03", revision="main").id == "maker/model-03"
        assert client.model_info("maker/model-03", revision=f"{3:040x}").id == "maker/model-03"
        with pytest.raises(RevisionNotFoundError):
            client.model_info("maker/model-03", revision="refs/pr/1")

    def test_expand_also_gives_base_models(self, hub: HubServer) -> None:
        tags = ["base_model:maker/model-01", "base_model:finetune:maker/model-01"]
        hub.put(model(3, tags=tags))
        found = get(hub, "/api/models/maker/model-03?expand=baseModels").json()
        assert found["baseModels"] == {
            "relation": "finetune",
            "models": [{"_id": f"{1:024x}", "id": "maker/model-01"}],
        }
        assert "tags" not in found

    @pytest.mark.parametrize("change", ["remove", "hide"])
    def test_what_is_gone_is_not_found(self, hub: HubServer, change: str) -> None:
        getattr(hub, change)("maker/model-03")
        anonymous = get(hub, "/api/models/maker/model-03")
        assert anonymous.status_code == 401
        known = get(hub, "/api/models/maker/model-03", Authorization=f"Bearer {TOKEN}")
        assert (known.status_code, known.headers["X-Error-Code"]) == (404, "RepoNotFound")
        with pytest.raises(RepositoryNotFoundError):
            api(hub, TOKEN).model_info("maker/model-03")
        # Over https the client takes this 401 too for a model that is not found.
        with pytest.raises(HfHubHTTPError, match="401"):
            api(hub).model_info("maker/model-03")
        assert "maker/model-03" not in names(api(hub, TOKEN).list_models())

    def test_disabled(self, hub: HubServer) -> None:
        hub.disable("maker/model-03")
        with pytest.raises(DisabledRepoError):
            api(hub).model_info("maker/model-03")
        hub.put(model(3))
        assert api(hub).model_info("maker/model-03").id == "maker/model-03"

    def test_a_renamed_model_redirects_and_its_childrens_tags_follow(self, hub: HubServer) -> None:
        tags = ["base_model:maker/model-03", "base_model:adapter:maker/model-03", "en"]
        card = {"base_model": "maker/model-03"}
        hub.put(model(4, tags=tags, cardData=card))
        hub.rename("maker/model-03", "maker/first")
        hub.rename("maker/first", "Company/Final")
        reply = get(hub, "/api/models/maker/model-03?expand=sha")
        assert reply.status_code == 307
        assert reply.headers["Location"] == "/api/models/Company/Final?expand=sha"
        found = api(hub).model_info("maker/model-03")
        assert (found.id, found.author) == ("Company/Final", "Company")
        child = api(hub).model_info("maker/model-04")
        assert child.tags == ["base_model:Company/Final", "base_model:adapter:Company/Final", "en"]
        assert child.card_data is not None
        assert child.card_data["base_model"] == "maker/model-03"

    def test_case_and_former_names_redirect(self) -> None:
        with HubServer([model(1)], moved={"old": "maker/model-01"}) as hub:
            assert api(hub).model_info("MAKER/Model-01").id == "maker/model-01"
            assert api(hub).model_info("old").id == "maker/model-01"

    def test_head_has_no_body(self, hub: HubServer) -> None:
        reply = httpx2.head(f"{hub.url}/api/models/maker/model-03")
        assert (reply.status_code, reply.content) == (200, b"")
        assert int(reply.headers["Content-Length"]) > 100

    def test_other_paths_are_not_found(self, hub: HubServer) -> None:
        assert get(hub, "/api/datasets").status_code == 404


class TestHeaders:
    def test_every_reply_has_the_hubs_headers(self, hub: HubServer) -> None:
        for path in ("/api/models", "/api/models/nobody/nothing", "/elsewhere"):
            headers = get(hub, path).headers
            limits = parse_ratelimit_headers(headers)
            assert limits is not None
            assert (limits.limit, limits.window_seconds) == (500, 300)
            assert headers["ETag"].startswith('W/"')
            assert headers["Content-Type"] == "application/json; charset=utf-8"
            assert headers["X-Request-Id"]

    def test_etags_tell_contents_apart(self, hub: HubServer) -> None:
        paths = ("/api/models?limit=1", "/api/models?limit=1", "/api/models?limit=2")
        first, again, other = (get(hub, path).headers["ETag"] for path in paths)
        assert first == again != other

    def test_a_bad_token_is_refused(self, hub: HubServer) -> None:
        reply = get(hub, "/api/models", Authorization="Bearer nonsense")
        assert reply.status_code == 401
        assert reply.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
        with pytest.raises(HfHubHTTPError) as caught:
            api(hub, "nonsense").model_info("maker/model-03")
        assert not isinstance(caught.value, RepositoryNotFoundError)

    def test_a_required_token(self) -> None:
        with HubServer([model(1)], require_token=TOKEN) as hub:
            assert get(hub, "/api/models").status_code == 401
            assert get(hub, "/api/models", Authorization="Bearer hf_other").status_code == 401
            assert names(api(hub, TOKEN).list_models()) == ["maker/model-01"]

    def test_a_used_up_window_refuses_and_says_when(self) -> None:
        with HubServer([model(1)], rate_limit=(2, 300)) as hub:
            left = [parse_ratelimit_headers(get(hub, "/api/models").headers) for _ in range(2)]
            assert [info.remaining for info in left if info] == [1, 0]
            reply = get(hub, "/api/models")
            info = parse_ratelimit_headers(reply.headers)
            assert reply.status_code == 429
            assert info is not None
            assert info.remaining == 0
            assert 0 < info.reset_in_seconds <= 300

    def test_the_client_waits_for_the_window(self) -> None:
        models = [model(n) for n in range(1, 4)]
        with HubServer(models, page_limit=1, rate_limit=(2, 1)) as hub:
            assert len(names(api(hub).list_models(sort="created_at"))) == 3

    def test_no_limit(self) -> None:
        with HubServer([model(1)], rate_limit=None) as hub:
            info = [parse_ratelimit_headers(get(hub, "/api/models").headers) for _ in range(3)]
            assert [each.remaining for each in info if each] == [500, 500, 500]


class TestFaults:
    def served(self, faults: Faults) -> HubServer:
        models = (model(n) for n in range(1, 26))
        return HubServer(models, page_limit=10, rate_limit=None, faults=faults)

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_statuses(self, status: int) -> None:
        faults = Faults({1: Status(status)})
        with self.served(faults) as hub:
            assert get(hub, "/api/models").status_code == status
            assert get(hub, "/api/models").status_code == 200
        assert faults.left == 0

    def test_429_with_and_without_its_headers(self) -> None:
        plan = Faults({1: [Status(429, reset=7), Status(429, retry_after=3, limits=False)]})
        with self.served(plan) as hub:
            first, second = get(hub, "/api/models"), get(hub, "/api/models")
        info = parse_ratelimit_headers(first.headers)
        assert info is not None
        assert (info.remaining, info.reset_in_seconds) == (0, 7)
        assert "ratelimit" not in second.headers
        assert second.headers["Retry-After"] == "3"

    def test_the_client_gets_over_a_fault_on_a_later_page(self) -> None:
        faults = Faults({following: Reset()})
        with self.served(faults) as hub:
            assert len(names(api(hub).list_models(sort="created_at"))) == 25
        assert len(faults.used) == 1

    def test_a_hang_outlasts_the_clients_patience(self) -> None:
        with (
            self.served(Faults({1: Hang()})) as hub,
            pytest.raises(httpx2.ReadTimeout),
        ):
            httpx2.get(f"{hub.url}/api/models", timeout=0.2)

    @pytest.mark.parametrize("after", [None, 0.5])
    def test_a_reset(self, after: float | None) -> None:
        with self.served(Faults({1: Reset(after)})) as hub, pytest.raises(httpx2.ReadError):
            get(hub, "/api/models")

    def test_a_truncated_body(self) -> None:
        with (
            self.served(Faults({1: Truncated()})) as hub,
            pytest.raises(httpx2.RemoteProtocolError, match="without sending complete"),
        ):
            get(hub, "/api/models")

    def test_bodies_that_are_not_a_list(self) -> None:
        with self.served(Faults({1: [Body(), NOT_A_LIST]})) as hub:
            page = get(hub, "/api/models")
            assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
            with pytest.raises(ValueError, match="Expecting value"):
                page.json()
            assert get(hub, "/api/models").json() == {"models": []}

    def test_a_page_that_repeats(self) -> None:
        with self.served(Faults({1: RepeatingPage()})) as hub:
            first = get(hub, "/api/models?sort=createdAt")
            again = httpx2.get(first.links["next"]["url"])
        assert again.content == first.content

    def test_a_cursor_that_expires_once(self) -> None:
        with self.served(Faults({following: ExpiredCursor()})) as hub:
            with pytest.raises(BadRequestError):
                list(api(hub).list_models())
            assert len(names(api(hub).list_models())) == 25

    def test_a_drip_arrives_whole(self) -> None:
        with self.served(Faults({1: Drip(pieces=4, seconds=0.01)})) as hub:
            assert len(get(hub, "/api/models").json()) == 10

    def test_closing_ends_every_thread_and_connection(self) -> None:
        before = set(threading.enumerate())
        with self.served(Faults({2: Hang()})) as hub, httpx2.Client() as client:
            client.get(f"{hub.url}/api/models")
            with pytest.raises(httpx2.ReadTimeout):
                client.get(f"{hub.url}/api/models", timeout=0.1)
        assert set(threading.enumerate()) == before


class TestPreparedPages:
    def test_serves_the_same_listing_as_the_shelf(self) -> None:
        prepared = PreparedPages(GeneratedModels(230, seed=3))
        shelf = HubServer(generate(230, seed=3), page_limit=50)
        with prepared as pages, HubServer(pages, page_limit=50) as fast, shelf as slow:
            for sort in ("created_at", "last_modified", "downloads", "likes", "trending_score"):
                both = [
                    [(found.id, found.tags) for found in api(hub).list_models(sort=sort)]
                    for hub in (fast, slow)
                ]
                assert both[0] == both[1]
                assert len(both[0]) == 230

    def test_selects_fields_and_refuses_what_it_cannot(self) -> None:
        with PreparedPages(GeneratedModels(30)) as pages, HubServer(pages) as hub:
            items = get(hub, "/api/models?sort=createdAt&expand=cardData").json()
            assert set(items[0]) == {"_id", "id", "modelId", "cardData"}
            assert get(hub, "/api/models?author=somebody").status_code == 400
            assert get(hub, "/api/models?cursor=garbled").status_code == 400
            assert get(hub, f"/api/models/{items[0]['id']}").status_code == 401
            with pytest.raises(UsageError):
                hub.remove("maker/model-01")

    def test_prepares_beforehand_and_cleans_up(self) -> None:
        query = ListQuery.parse({"sort": ["createdAt"]}, page_limit=10)
        with PreparedPages(GeneratedModels(35)) as pages:
            assert pages.prepare(query) == 4
            body = pages.page(query, trusted=False).body
            assert os.path.exists(str(body))  # noqa: PTH110
        assert not os.path.exists(str(body))  # noqa: PTH110


class TestCommand:
    def test_a_generated_hub_in_a_process_of_its_own(self) -> None:
        with generated_hub(120, seed=1, prepare="sort=createdAt&full=true") as url:
            found = list(HfApi(endpoint=url, token=False).list_models(sort="created_at", full=True))
        expected = [record["id"] for record in generate(120, seed=1)]
        assert names(found) == expected[::-1]

    def test_sigterm_ends_the_sample(self) -> None:
        command = [sys.executable, "-m", "registry.demo.hub.server"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            found = HfApi(endpoint=url, token=False).model_info("gpt2")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        assert found.id == "openai-community/gpt2"

    def test_there_is_no_address_while_not_serving(self) -> None:
        with pytest.raises(UsageError):
            _ = HubServer().url
