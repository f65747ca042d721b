/** The text field for PromQL: CodeMirror in Grafana's clothes. */
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, syntaxHighlighting } from '@codemirror/language';
import { linter, nextDiagnostic } from '@codemirror/lint';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder, tooltips } from '@codemirror/view';
import { type TimeRange } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import { LanguageType, PromQLExtension } from '@prometheus-io/codemirror-promql';
import { useEffect, useRef } from 'react';

import { CompletionSource, completePromql } from '../completion';
import { type FleetDataSource } from '../datasource';
import { problemsOf } from '../lint';
import { editorTheme, highlighting } from './editorTheme';

export interface Props {
  datasource: FleetDataSource;
  value: string;
  /** What names are asked for. */
  range?: TimeRange;
  readOnly?: boolean;
  label: string;
  /** The field was left, or Shift+Enter pressed (`run`). */
  onCommit: (value: string, run: boolean) => void;
  /** What is wrong with the text now; `undefined`: nothing known. */
  onProblem: (message: string | undefined) => void;
  /** Why names cannot be completed; `undefined`: they can. */
  onCompletionState: (error: string | undefined) => void;
}

/** How long the text must stand still before it is checked. */
const LINT_DELAY_MS = 400;

// The default export is what the lazily loaded chunk offers.
export default function PromqlField(props: Props) {
  const { datasource, value, readOnly = false, label } = props;
  const theme = useTheme2();
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const appearance = useRef(new Compartment());
  // The editor lives longer than one rendering: its callbacks look up the present ones.
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });

  useEffect(() => {
    if (parent.current === null) {
      return undefined;
    }
    const source = new CompletionSource(
      datasource.client,
      (selector) => datasource.interpolate(selector),
      () => latest.current.range,
      (error) => {
        latest.current.onCompletionState(error);
      }
    );
    const commit = (run: boolean) => (editor: EditorView) => {
      latest.current.onCommit(editor.state.doc.toString(), run);
      return true;
    };
    const editor = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          appearance.current.of([]),
          EditorState.readOnly.of(readOnly),
          EditorView.editable.of(!readOnly),
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.lineWrapping,
          history(),
          bracketMatching(),
          closeBrackets(),
          placeholder('Enter a PromQL query, for example  avg by (Hostname) (DCGM_FI_DEV_GPU_UTIL)'),
          // Menus hang on the page's body: a panel editor cuts off what leaves its box.
          tooltips({ parent: document.body, position: 'fixed' }),
          new PromQLExtension().activateCompletion(false).activateLinter(false).asExtension(LanguageType.PromQL),
          autocompletion({
            override: [completePromql(source, () => datasource.variableNames())],
            maxRenderedOptions: 200,
          }),
          linter(
            async ({ state }) => {
              const problems = await problemsOf(state.doc.toString(), {
                parse: (expr) => datasource.client.parse(expr),
                interpolate: (expr) => datasource.interpolate(expr),
              });
              latest.current.onProblem(problems.find(({ severity }) => severity === 'error')?.message);
              return problems;
            },
            { delay: LINT_DELAY_MS }
          ),
          Prec.highest(
            keymap.of([
              { key: 'Shift-Enter', run: commit(true) },
              { key: 'Mod-Enter', run: commit(true) },
              { key: 'F8', run: nextDiagnostic },
              { key: 'Ctrl-Space', run: startCompletion },
            ])
          ),
          keymap.of([
            ...closeBracketsKeymap,
            ...completionKeymap,
            ...historyKeymap,
            { key: 'Enter', run: insertNewlineAndIndent },
            ...defaultKeymap,
          ]),
          EditorView.domEventHandlers({
            blur: (_event, blurred) => {
              commit(false)(blurred);
            },
          }),
        ],
      }),
    });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = undefined;
    };
  }, [datasource, readOnly, label]);

  useEffect(() => {
    view.current?.dispatch({
      effects: appearance.current.reconfigure([editorTheme(theme), syntaxHighlighting(highlighting(theme))]),
    });
  }, [theme, datasource, readOnly, label]);

  // The query may change from outside: history, undo of the dashboard, "filter for value".
  useEffect(() => {
    const editor = view.current;
    if (editor && !editor.hasFocus && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  return <div ref={parent} data-testid="promql-field" />;
}
