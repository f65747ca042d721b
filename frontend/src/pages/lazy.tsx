/** The pages are loaded when they are opened; Grafana loads module.js at its own start. */
import { LoadingPlaceholder } from '@grafana/ui';
import { Suspense, lazy } from 'react';

const Landing = lazy(() => import('./Landing'));
const Config = lazy(() => import('./AppConfig').then(({ AppConfig }) => ({ default: AppConfig })));

export function LazyLanding() {
  return (
    <Suspense fallback={<LoadingPlaceholder text="Loading Podscope..." />}>
      <Landing />
    </Suspense>
  );
}

export function LazyConfig() {
  return (
    <Suspense fallback={<LoadingPlaceholder text="Loading..." />}>
      <Config />
    </Suspense>
  );
}
