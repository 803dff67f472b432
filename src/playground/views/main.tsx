// The entry point of the page.
import { render } from "preact";
import { Actions } from "./actions.ts";
import { App } from "./app.tsx";
import { Store } from "./state.ts";

const store = new Store();
const actions = new Actions(store);
const root = document.getElementById("page") as HTMLElement;
root.replaceChildren();
render(<App store={store} actions={actions} />, root);
// The link works once. A reloaded page has its cookie, so the token is removed from the address.
history.replaceState(null, "", `${location.pathname}${location.hash}`);
void actions.start();
