// The properties that every view gets.
import type { Actions } from "./actions.ts";
import type { PageState } from "./state.ts";

export interface ViewProps {
  readonly state: PageState;
  readonly actions: Actions;
}
