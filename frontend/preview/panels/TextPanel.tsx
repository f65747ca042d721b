import { renderMarkdown } from '@grafana/data';
import type { ReactElement } from 'react';

import type { PanelProps } from '.';

/** Markdown, sanitised by Grafana's own renderer. */
export function TextPanel({ panel, replace }: PanelProps): ReactElement {
  const content = typeof panel.options?.content === 'string' ? panel.options.content : '';
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: renderMarkdown(replace(content)) }} />;
}
