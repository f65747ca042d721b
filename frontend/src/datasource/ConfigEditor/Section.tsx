/** One part of the settings page: a heading, what it is about, and the fields. */
import { css } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { Stack, Text, useStyles2 } from '@grafana/ui';
import { type ReactNode } from 'react';

interface Props {
  title: string;
  description: NonNullable<ReactNode>;
  children: NonNullable<ReactNode>;
}

export function Section({ title, description, children }: Props) {
  const styles = useStyles2(getStyles);
  return (
    <section className={styles.section}>
      <Stack direction="column" gap={0.5}>
        <Text element="h3" variant="h4">
          {title}
        </Text>
        <Text color="secondary">{description}</Text>
      </Stack>
      <div className={styles.fields}>{children}</div>
    </section>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  section: css({
    padding: theme.spacing(3, 0, 1),
    '& + &': { borderTop: `1px solid ${theme.colors.border.weak}` },
  }),
  fields: css({ marginTop: theme.spacing(2) }),
});
