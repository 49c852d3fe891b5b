// Passkeys: a button in a form asks the server for a question, the authenticator for an answer,
// and sends the form with it. <form data-passkey="get|create" data-options="/path"> with hidden
// fields: ticket (or question), answer, and where a key is opened, secret.
"use strict";
(() => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const read = (given) => {
    const options = { ...given, challenge: bytes(given.challenge) };
    if (given.user) options.user = { ...given.user, id: bytes(given.user.id) };
    for (const list of ["allowCredentials", "excludeCredentials"])
      if (given[list]) options[list] = given[list].map((one) => ({ ...one, id: bytes(one.id) }));
    const salts = given.extensions?.prf?.evalByCredential;
    if (salts) {
      const wanted = {};
      for (const [id, salt] of Object.entries(salts)) wanted[id] = { first: bytes(salt.first) };
      options.extensions = { prf: { evalByCredential: wanted } };
    }
    return options;
  };

  const written = (made) => {
    const from = made.response;
    const response = { clientDataJSON: text(from.clientDataJSON) };
    if (from.attestationObject) response.attestationObject = text(from.attestationObject);
    if (from.authenticatorData) response.authenticatorData = text(from.authenticatorData);
    if (from.signature) response.signature = text(from.signature);
    if (from.userHandle) response.userHandle = text(from.userHandle);
    return JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response });
  };

  const set = (form, name, value) => {
    const field = form.elements.namedItem(name);
    if (field) field.value = value;
  };

  // data-check="name …": these fields must be filled in; without names, the whole form.
  const whole = (form) => {
    const names = form.dataset.check.split(" ").filter(Boolean);
    if (!names.length) return form.reportValidity();
    return names.every((name) => form.elements.namedItem(name).reportValidity());
  };

  const say = (form, key, more) => {
    const note = form.querySelector("[data-note]");
    if (!note) return;
    note.textContent = more || note.dataset[key] || "";
    note.hidden = !note.textContent;
  };

  const asked = async (form) => {
    const body = new URLSearchParams();
    for (const name of (form.dataset.send || "").split(" ").filter(Boolean))
      body.set(name, form.elements.namedItem(name).value);
    const headers = { Accept: "application/json" };
    const csrf = form.elements.namedItem("csrf");
    if (csrf) headers["X-CSRF-Token"] = csrf.value;
    const answer = await fetch(form.dataset.options, { method: "POST", headers, body });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.messages?.[document.documentElement.lang] || said.title);
    return said;
  };

  const run = async (form) => {
    say(form, "");
    let question;
    try {
      question = await asked(form);
    } catch (error) {
      say(form, "refused", error instanceof TypeError ? "" : error.message);
      return;
    }
    const create = form.dataset.passkey === "create";
    let made;
    try {
      const publicKey = read(question.publicKey);
      made = await navigator.credentials[create ? "create" : "get"]({ publicKey });
    } catch (error) {
      say(form, error.name === "SecurityError" ? "address" : "refused");
      return;
    }
    const prf = made.getClientExtensionResults().prf || {};
    set(form, "ticket", question.ticket);
    set(form, "question", question.ticket);
    set(form, "answer", written(made));
    set(form, "prf", prf.enabled ? "yes" : "no");
    if (form.elements.namedItem("secret")) {
      if (!prf.results?.first) {
        say(form, "without");
        return;
      }
      set(form, "secret", text(prf.results.first));
    }
    form.submit();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-passkey-button]");
    if (!button) return;
    event.preventDefault();
    const form = button.form;
    if (!window.PublicKeyCredential) {
      say(form, "absent");
      return;
    }
    if ("check" in form.dataset && !whole(form)) return;
    button.disabled = true;
    run(form).finally(() => { button.disabled = false; });
  });
})();
