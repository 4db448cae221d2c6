"""The pulmonary embolism task: CT angiograms, their unique emboli and candidates along vessels."""
