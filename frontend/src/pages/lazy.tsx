/** The pages are loaded when they are opened; Grafana loads module.js at its own start. */
import { LoadingPlaceholder } from '@grafana/ui';
import { Suspense, lazy } from 'react';
import { Route, Routes } from 'react-router-dom-v5-compat';

const Landing = lazy(() => import('./Landing'));
const Jobs = lazy(() => import('./Jobs'));
const Config = lazy(() => import('./AppConfig').then(({ AppConfig }) => ({ default: AppConfig })));

export function LazyLanding() {
  return (
    <Suspense fallback={<LoadingPlaceholder text="Loading Podscope..." />}>
      <Landing />
    </Suspense>
  );
}

/** Grafana gives the app everything below `/a/podscope-warroom-app`. */
export function LazyRoot() {
  return (
    <Routes>
      <Route path="jobs" element={<LazyJobs />} />
      <Route path="*" element={<LazyLanding />} />
    </Routes>
  );
}

function LazyJobs() {
  return (
    <Suspense fallback={<LoadingPlaceholder text="Loading the jobs..." />}>
      <Jobs />
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
