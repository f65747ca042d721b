/** CodeMirror in the colours, fonts and spacing of Grafana's current theme. */
import { HighlightStyle } from '@codemirror/language';
import { type Extension } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { type GrafanaTheme2 } from '@grafana/data';
import { tags } from '@lezer/highlight';

export function editorTheme(theme: GrafanaTheme2): Extension {
  const { colors, components, shape, spacing, typography } = theme;
  return EditorView.theme(
    {
      // Menus hang in a box of their own outside the editor, which has the theme's class too but is no field.
      '&.cm-editor': {
        fontSize: typography.bodySmall.fontSize,
        fontFamily: typography.fontFamilyMonospace,
        backgroundColor: components.input.background,
        color: components.input.text,
        border: `1px solid ${components.input.borderColor}`,
        borderRadius: shape.radius.default,
        minHeight: spacing(4),
      },
      '&.cm-editor:hover': { borderColor: components.input.borderHover },
      '&.cm-editor.cm-focused': { outline: `2px solid ${colors.primary.main}`, outlineOffset: '1px' },
      '.cm-scroller': { fontFamily: 'inherit', lineHeight: '22px' },
      '.cm-content': { padding: spacing(0.5, 0), caretColor: colors.text.primary },
      '.cm-line': { padding: spacing(0, 1) },
      '.cm-cursor': { borderLeftColor: colors.text.primary },
      '.cm-placeholder': { color: colors.text.disabled },
      '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-content ::selection': {
        backgroundColor: colors.action.selected,
      },
      '.cm-matchingBracket, &.cm-focused .cm-matchingBracket': {
        backgroundColor: colors.action.focus,
        outline: `1px solid ${colors.border.strong}`,
      },
      '.cm-nonmatchingBracket, &.cm-focused .cm-nonmatchingBracket': { color: colors.error.text },
      '.cm-tooltip': {
        backgroundColor: colors.background.elevated,
        color: colors.text.primary,
        border: `1px solid ${colors.border.weak}`,
        borderRadius: shape.radius.default,
        boxShadow: theme.shadows.z3,
        zIndex: theme.zIndex.portal,
        fontSize: typography.bodySmall.fontSize,
      },
      '.cm-tooltip.cm-tooltip-autocomplete > ul': {
        fontFamily: typography.fontFamilyMonospace,
        maxHeight: '280px',
        minWidth: '320px',
      },
      '.cm-tooltip.cm-tooltip-autocomplete > ul > li': {
        padding: spacing(0.5, 1),
        lineHeight: '18px',
        display: 'flex',
        alignItems: 'baseline',
        gap: spacing(0.5),
      },
      '.cm-tooltip-autocomplete ul li[aria-selected]': {
        backgroundColor: colors.action.selected,
        color: colors.text.maxContrast,
      },
      '.cm-completionLabel': { flex: '1 1 auto' },
      '.cm-completionMatchedText': { textDecoration: 'none', color: colors.primary.text, fontWeight: 'bold' },
      '.cm-completionDetail': { color: colors.text.secondary, fontStyle: 'normal', marginLeft: spacing(2) },
      '.cm-completionInfo': {
        padding: spacing(1),
        maxWidth: '320px',
        fontFamily: typography.fontFamily,
        whiteSpace: 'normal',
      },
      '.cm-completionIcon': { color: colors.text.secondary, opacity: '1', width: '1.2em' },
      '.cm-diagnostic': { padding: spacing(0.5, 1), fontFamily: typography.fontFamily },
      '.cm-diagnostic-error': { borderLeft: `4px solid ${colors.error.main}` },
      '.cm-diagnostic-warning': { borderLeft: `4px solid ${colors.warning.main}` },
      '.cm-lintRange-error': {
        backgroundImage: 'none',
        textDecoration: `underline wavy ${colors.error.text}`,
        textUnderlineOffset: '3px',
      },
    },
    { dark: theme.isDark }
  );
}

export function highlighting(theme: GrafanaTheme2): HighlightStyle {
  const hue = (name: string) => theme.visualization.getColorByName(theme.isDark ? `light-${name}` : `dark-${name}`);
  return HighlightStyle.define([
    { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: hue('purple') },
    { tag: [tags.function(tags.variableName)], color: hue('orange') },
    { tag: tags.labelName, color: hue('blue') },
    { tag: [tags.string, tags.special(tags.string)], color: hue('green') },
    { tag: [tags.number, tags.bool], color: hue('yellow') },
    { tag: [tags.comment, tags.lineComment], color: theme.colors.text.disabled, fontStyle: 'italic' },
    { tag: [tags.operator, tags.punctuation, tags.bracket], color: theme.colors.text.secondary },
    { tag: tags.variableName, color: theme.colors.text.primary },
  ]);
}
