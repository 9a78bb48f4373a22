// The dashboard. It talks to the API of the same origin with the key that the user typed, which
// stays in sessionStorage. Whatever comes from the API is shown with textContent only: payloads
// and answers of receivers are not ours and are never markup.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const state = { key: sessionStorage.getItem("signpost-key"), tenant: null, names: new Map(), older: 0, open: null, timer: 0, run: 0 };

  /** An element with attributes and children; text children are text. */
  const el = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };
  const pill = (word) => el("span", { class: `pill ${word}` }, word);
  const list = (...children) => children;

  const api = async (method, path, body) => {
    const answer = await fetch(`/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${state.key}`, ...(body ? { "content-type": "application/json" } : {}) },
      body: body ? JSON.stringify(body) : undefined,
      cache: "no-store",
      credentials: "omit",
    });
    const json = answer.status === 204 ? null : await answer.json().catch(() => null);
    if (!answer.ok) throw Object.assign(new Error(json?.detail ?? `the service answered ${answer.status}`), { status: answer.status });
    return json;
  };
  const within = (path) => `/tenants/${encodeURIComponent(state.tenant)}${path}`;

  let toasts = 0;
  const toast = (text) => {
    const mine = ++toasts;
    byId("toast").textContent = text;
    setTimeout(() => { if (mine === toasts) byId("toast").textContent = ""; }, 6000);
  };

  const ago = (time) => {
    const seconds = (Date.now() - new Date(time)) / 1000;
    const [amount, unit] = Math.abs(seconds) < 90 ? [seconds, "second"] : Math.abs(seconds) < 5400 ? [seconds / 60, "minute"]
      : Math.abs(seconds) < 129600 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
    return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-Math.round(amount), unit);
  };
  const when = (time) => el("time", { datetime: time, title: new Date(time).toLocaleString(), class: "when" }, ago(time));

  const act = async (button, work) => {
    button.disabled = true;
    try { await work(); } catch (error) { toast(error.message); } finally { button.disabled = false; }
  };
  const button = (label, work) => el("button", {
    class: "quiet", type: "button",
    onclick: (event) => { event.stopPropagation(); act(event.currentTarget, work); },
  }, label);

  const showTiles = (stats) => {
    const counts = stats.deliveries ?? {};
    byId("tiles").replaceChildren(...["succeeded", "pending", "failed", "held", "discarded"].map((status) =>
      el("div", { class: "tile" }, el("b", { class: status }, (counts[status] ?? 0).toLocaleString("en")), status)));
  };

  const showEndpoints = (endpoints) => {
    state.names = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint.name]));
    const rows = endpoints.map((endpoint) => el("tr", {},
      el("td", {}, endpoint.name, el("div", { class: "soft mono" }, endpoint.id)),
      el("td", { class: "mono wide" }, endpoint.url),
      el("td", { class: "mono wide" }, endpoint.events.join(" ")),
      el("td", { class: "word" }, endpoint.profile),
      el("td", {}, pill(endpoint.status), endpoint.status_reason ? el("div", { class: "soft" }, endpoint.status_reason) : null),
      el("td", { class: "actions" },
        button("Test", () => testSend(endpoint)), " ",
        button(endpoint.status === "active" ? "Pause" : "Activate", async () => {
          await api("PATCH", within(`/endpoints/${endpoint.id}`), { status: endpoint.status === "active" ? "paused" : "active" });
          await refresh();
        }))));
    byId("endpoints").replaceChildren(...(rows.length ? rows : [
      el("tr", {}, el("td", { colspan: "6", class: "empty" }, "No endpoints yet. Create one with POST …/endpoints or `signpost endpoints create`."))]));
  };

  const testSend = async (endpoint) => {
    const result = await api("POST", within(`/endpoints/${endpoint.id}/test`), {});
    byId("story-title").textContent = `Test of ${endpoint.name}`;
    byId("story-body").replaceChildren(
      el("p", { class: result.success ? "good" : "bad" }, result.success ? "The receiver took it." : "The receiver did not take it."),
      facts({ "status code": result.status_code, "took": `${result.duration_ms} ms`, "error": result.error }),
      ...text("Answer", result.response_body));
    state.open = null;
    byId("story").showModal();
    await refresh();
  };

  const deliveryRow = (delivery) => {
    const show = () => story(delivery.id).catch((error) => toast(error.message));
    return el("tr", { class: "link", tabindex: "0", onclick: show, onkeydown: (event) => { if (event.key === "Enter") show(); } },
      el("td", {}, when(delivery.created_at)),
      el("td", { class: "mono wide" }, delivery.event_type, el("div", { class: "soft" }, delivery.event_id)),
      el("td", { class: "wide" }, state.names.get(delivery.endpoint_id) ?? delivery.endpoint_id),
      el("td", {}, pill(delivery.status)),
      el("td", { class: "number", "data-name": "Attempts" }, String(delivery.attempt_count)),
      el("td", { class: "number", "data-name": "Answer" }, delivery.last_status_code === null ? "–" : String(delivery.last_status_code)),
      el("td", { "data-name": "Next" }, delivery.next_attempt_at ? when(delivery.next_attempt_at) : ""));
  };
  const deliveriesPath = (cursor) => {
    const query = new URLSearchParams({ limit: "25" });
    if (byId("status").value) query.set("status", byId("status").value);
    if (cursor) query.set("cursor", cursor);
    return within(`/deliveries?${query}`);
  };
  const showDeliveries = (page) => {
    state.cursor = page.next_cursor;
    byId("more").hidden = !page.next_cursor;
    byId("newest").hidden = true;
    byId("deliveries").replaceChildren(...(page.items.length ? page.items.map(deliveryRow) : [
      el("tr", {}, el("td", { colspan: "7", class: "empty" }, "No deliveries to show."))]));
  };

  const facts = (pairs) => el("dl", {}, ...Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value instanceof Node ? value : String(value))]));
  const text = (title, value) => value === null || value === undefined || value === "" ? [] : list(
    el("details", {}, el("summary", {}, title), el("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2))));
  const headers = (value) => value === null || value === undefined ? null
    : (Array.isArray(value) ? value : Object.entries(value)).map(([name, content]) => `${name}: ${content}`).join("\n");

  const story = async (id) => {
    const delivery = await api("GET", within(`/deliveries/${encodeURIComponent(id)}`));
    const canRetry = ["failed", "succeeded", "held", "discarded"].includes(delivery.status);
    byId("story-title").textContent = `${delivery.event_type} to ${state.names.get(delivery.endpoint_id) ?? delivery.endpoint_id}`;
    byId("story-body").replaceChildren(
      facts({
        "delivery": el("span", { class: "mono" }, delivery.id), "event": el("span", { class: "mono" }, delivery.event_id),
        "status": pill(delivery.status), "because": delivery.status_reason, "created": when(delivery.created_at),
        "next attempt": delivery.next_attempt_at ? when(delivery.next_attempt_at) : null,
        "finished": delivery.finished_at ? when(delivery.finished_at) : null,
      }),
      canRetry ? button("Send it again", async () => {
        await api("POST", within(`/deliveries/${encodeURIComponent(id)}/retry`), {});
        toast("It is on its way again.");
        await story(id);
      }) : null,
      ...delivery.attempts.map((attempt) => el("div", { class: "attempt" },
        el("h3", {}, `Attempt ${attempt.number} `, el("span", { class: attempt.outcome === "succeeded" ? "good" : "bad" }, attempt.outcome), ` (${attempt.trigger})`),
        facts({
          "sent": when(attempt.requested_at), "took": attempt.duration_ms === null ? null : `${attempt.duration_ms} ms`,
          "status code": attempt.status_code, "error": attempt.error, "retried because": attempt.retry_reason,
          "next attempt": attempt.next_attempt_at ? when(attempt.next_attempt_at) : null,
        }),
        ...text("Request headers", headers(attempt.request_headers)), ...text("Request body", attempt.request_body),
        ...text("Answer's headers", headers(attempt.response_headers)), ...text("Answer's body", attempt.response_body))),
      delivery.attempts.length ? null : el("p", { class: "soft" }, "No attempt has been made yet."));
    state.open = delivery.status === "pending" ? id : null;
    if (!byId("story").open) byId("story").showModal();
  };

  const refresh = async () => {
    clearTimeout(state.timer);
    const run = ++state.run;
    if (!state.tenant) return;
    try {
      const [stats, endpoints, deliveries] = await Promise.all([
        api("GET", within("/stats")), api("GET", within("/endpoints?limit=250")), state.older ? null : api("GET", deliveriesPath())]);
      if (run !== state.run) return;
      showTiles(stats);
      showEndpoints(endpoints.items);
      if (deliveries) showDeliveries(deliveries);
      // A story that is still being told is kept up to date.
      if (state.open && byId("story").open) await story(state.open);
      byId("freshness").textContent = state.older ? "showing older deliveries" : `as of ${new Date().toLocaleTimeString()}`;
    } catch (error) {
      if (run !== state.run) return;
      if (error.status === 401) return leave("This key is not valid any more.");
      byId("freshness").textContent = `not up to date: ${error.message}`;
    }
    state.timer = setTimeout(refresh, document.hidden ? 30000 : 4000);
  };

  const leave = (reason = "") => {
    sessionStorage.removeItem("signpost-key");
    clearTimeout(state.timer);
    Object.assign(state, { key: null, tenant: null, run: state.run + 1 });
    byId("board").hidden = byId("leave").hidden = document.querySelector(".tenant").hidden = true;
    byId("welcome").hidden = false;
    byId("freshness").textContent = "";
    byId("refused").textContent = reason;
    byId("key").focus();
  };

  const enter = async () => {
    const me = await api("GET", "/me");
    if (me.role === "publisher") throw new Error("A publisher key can publish events, but not look at them.");
    let tenants = [me.tenant];
    if (me.role === "admin") {
      tenants = (await api("GET", "/tenants?limit=250")).items.map((tenant) => tenant.id);
    }
    byId("tenant").replaceChildren(...tenants.map((id) => el("option", {}, id)));
    const wanted = decodeURIComponent(location.hash.slice(1));
    state.tenant = tenants.includes(wanted) ? wanted : tenants[0];
    byId("tenant").value = state.tenant;
    sessionStorage.setItem("signpost-key", state.key);
    byId("welcome").hidden = true;
    byId("board").hidden = byId("leave").hidden = document.querySelector(".tenant").hidden = false;
    byId("key").value = "";
    await refresh();
  };
  const tryToEnter = () => enter().catch((error) => leave(error.status === 401 ? "This key is not valid." : error.message));

  byId("enter").addEventListener("submit", (event) => { event.preventDefault(); state.key = byId("key").value.trim(); tryToEnter(); });
  byId("leave").addEventListener("click", () => leave());
  byId("tenant").addEventListener("change", (event) => {
    state.tenant = event.target.value;
    state.older = 0;
    history.replaceState(null, "", `#${encodeURIComponent(state.tenant)}`);
    refresh();
  });
  byId("status").addEventListener("change", () => { state.older = 0; refresh(); });
  byId("more").addEventListener("click", (event) => act(event.currentTarget, async () => {
    state.older += 1;
    const page = await api("GET", deliveriesPath(state.cursor));
    state.cursor = page.next_cursor;
    byId("deliveries").append(...page.items.map(deliveryRow));
    byId("more").hidden = !page.next_cursor;
    byId("newest").hidden = false;
  }));
  byId("newest").addEventListener("click", () => { state.older = 0; refresh(); });
  byId("close").addEventListener("click", () => byId("story").close());
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  if (state.key) tryToEnter(); else leave();
})();
